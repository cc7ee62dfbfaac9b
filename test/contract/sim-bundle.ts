/** The stand-in's program built for one test file, so that its tools start as quickly as the shipped ones. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const SIM = fileURLToPath(new URL('../../packages/sim/', import.meta.url));

export interface SimBundle {
  readonly path: string;
  remove(): void;
}

export async function buildSimBundle(): Promise<SimBundle> {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-bundle-'));
  const path = join(folder, 'pxmgr-sim.js');
  const banner =
    "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);";
  await build({
    entryPoints: [join(SIM, 'src/main.ts')],
    outdir: folder,
    entryNames: 'pxmgr-sim',
    bundle: true,
    // Each tool starts with its own code only, which halves the time of a call.
    splitting: true,
    minify: true,
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    banner: { js: banner },
    logLevel: 'error',
  });
  cpSync(join(SIM, 'data'), join(folder, 'pxmgr-sim-data'), { recursive: true });
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
