import { defineConfig } from 'vitest/config';

/** Beside the code: milliseconds, the quick round of `npm run check`. */
const PACKAGES = ['contract', 'kit', 'sim', 'agent', 'controller', 'cli'];
/** Folders of test/ that read the tree and start nothing, so they belong to the quick round too. */
const TREE = ['house', 'docs'];

const unit = PACKAGES.map((name) => ({
  extends: true as const,
  test: {
    name,
    include: [`packages/${name}/src/**/*.test.ts`],
    exclude: [`packages/${name}/src/gen/**`],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
}));

const tree = TREE.map((name) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout: 60_000 },
}));

/** Everything with real servers, real processes and the built bundles: only in `npm test`. */
const integration = {
  extends: true as const,
  test: {
    name: 'integration',
    include: ['test/**/*.test.ts'],
    exclude: [...TREE.map((name) => `test/${name}/**`), 'test/bench/**', 'test/soak/**'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
};

/** `npm run test:soak`: the same properties with many more runs, for hours. */
const soak = {
  extends: true as const,
  test: { name: 'soak', include: ['test/soak/**/*.test.ts'], testTimeout: 1_800_000, hookTimeout: 600_000 },
};

export default defineConfig(({ mode }) => ({
  test: {
    projects: mode === 'soak' ? [soak] : [...unit, ...tree, integration],
    environment: 'node',
    // A second, which is the default, is less than a loaded machine may stand still.
    expect: { poll: { timeout: 20_000 } },
    // Much of the time is spent waiting for real processes: every core works, none is kept back.
    maxWorkers: '100%',
    clearMocks: true,
    restoreMocks: true,
    unstubEnvs: true,
    passWithNoTests: true,
    coverage: {
      include: ['packages/*/src/**/*.ts'],
      exclude: ['**/*.test.ts', 'packages/contract/src/gen/**'],
      reporter: ['text-summary', 'json-summary'],
    },
  },
}));
