import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './tree.ts';

interface LockEntry {
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  packages: Readonly<Record<string, LockEntry>>;
};

/** Node's rule: beside the package that asks, then one folder further up each time. */
function isLocked(asker: string, name: string): boolean {
  const parts = asker === '' ? [] : asker.split('/node_modules/');
  const bases = [...parts.keys()].map((count) => parts.slice(0, parts.length - count).join('/node_modules/'));
  return [...bases.map((base) => `${base}/node_modules/${name}`), `node_modules/${name}`].some(
    (path) => path in packages,
  );
}

describe('package-lock.json', () => {
  // npm writes only the platforms that it could see; `npm ci` then refuses the file on the others.
  it('has the optional packages of every platform', () => {
    const missing = Object.entries(packages).flatMap(([path, entry]) =>
      Object.keys(entry.optionalDependencies ?? {})
        .filter((name) => !isLocked(path, name))
        .map((name) => `${path} wants ${name}`),
    );
    expect(missing).toEqual([]);
  });
});
