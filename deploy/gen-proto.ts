/**
 * Generates packages/contract/src/gen from proto/. buf writes into a scratch folder and only what differs is
 * copied, so an unchanged tree keeps its time stamps and nobody ever sees a half-written folder.
 * With --check nothing is written and a difference is an error.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const GEN = join('packages', 'contract', 'src', 'gen');

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

function readOrEmpty(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** Runs buf; `scratch` then holds the tree that belongs into the package. Needs no network: the plugin is local. */
function generate(scratch: string): string {
  const bin = join(ROOT, 'node_modules', '.bin');
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` };
  const buf = (...args: string[]): void => {
    execFileSync(join(bin, 'buf'), args, { cwd: join(ROOT, 'proto'), env, stdio: ['ignore', 'inherit', 'inherit'] });
  };
  buf('lint');
  // The template's output path is relative to this folder, as it is to proto/ when buf is run by hand.
  buf('generate', '-o', join(scratch, 'proto'));
  return join(scratch, GEN);
}

/** Paths below the generated folder that are not what proto/ says, stale files included. */
function differences(fresh: string, committed: string): string[] {
  const paths = new Set([...filesBelow(fresh), ...filesBelow(committed)]);
  return [...paths].filter((path) => readOrEmpty(join(fresh, path)) !== readOrEmpty(join(committed, path))).sort();
}

function copy(path: string, fresh: string, committed: string): void {
  const target = join(committed, path);
  if (!existsSync(join(fresh, path))) {
    rmSync(target);
    return;
  }
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, readFileSync(join(fresh, path)));
}

function main(check: boolean): number {
  const scratch = mkdtempSync(join(tmpdir(), 'pxmgr-gen-'));
  try {
    const fresh = generate(scratch);
    const committed = join(ROOT, GEN);
    const stale = differences(fresh, committed);
    for (const path of stale) {
      process.stdout.write(`gen: ${join(GEN, path)} ${check ? 'is stale: run "npm run gen"' : 'written'}\n`);
      if (!check) copy(path, fresh, committed);
    }
    return check && stale.length > 0 ? 1 : 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exitCode = main(process.argv.includes('--check'));
