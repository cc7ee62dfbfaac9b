/**
 * Writes the texts that are made from tables: docs/reference/ and the index of docs/adr/.
 * With --check nothing is written and a difference is an error.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderCommands } from './reference/commands.ts';
import { renderConfigPages } from './reference/config-keys.ts';
import { renderDecisions } from './reference/decisions.ts';
import { renderErrorCodes } from './reference/error-codes.ts';
import { renderCapabilities, renderReferenceIndex } from './reference/overview.ts';
import type { Page } from './reference/page.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const REFERENCE = 'docs/reference';

function pages(): Page[] {
  const reference = [renderErrorCodes(), ...renderConfigPages(), renderCommands(), renderCapabilities()];
  return [...reference, renderReferenceIndex(reference), renderDecisions(join(ROOT, 'docs/adr'))];
}

/** Pages of the generated folder that no table asks for any more. */
function leftOver(made: readonly Page[]): string[] {
  const wanted = new Set(made.map((page) => page.path));
  if (!existsSync(join(ROOT, REFERENCE))) return [];
  return readdirSync(join(ROOT, REFERENCE))
    .map((name) => `${REFERENCE}/${name}`)
    .filter((path) => !wanted.has(path));
}

function isStale(page: Page): boolean {
  const file = join(ROOT, page.path);
  return !existsSync(file) || readFileSync(file, 'utf8') !== page.text;
}

function write(page: Page): void {
  const file = join(ROOT, page.path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, page.text);
}

const check = process.argv.includes('--check');
const made = pages();
const stale = made.filter(isStale);
const left = leftOver(made);
for (const path of [...stale.map((page) => page.path), ...left]) {
  process.stdout.write(`gen: ${path} ${check ? 'is stale: run "npm run gen"' : 'written'}\n`);
}
if (!check) {
  for (const page of stale) write(page);
  for (const path of left) rmSync(join(ROOT, path));
}
process.exitCode = check && stale.length + left.length > 0 ? 1 : 0;
