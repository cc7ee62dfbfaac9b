import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheFile, runAndCache, runCompiled } from './compiled.ts';

let folder: string;
let program: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pxmgr-compiled-'));
  program = join(folder, 'program.cjs');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A program that says `word` and where it lies. */
function write(word: string): void {
  writeFileSync(
    program,
    `const { writeFileSync } = require('node:fs');\nwriteFileSync(__dirname + '/said', '${word} ' + __filename);\n`,
  );
}
/** As when the process ends, which here goes on. */
function writeCache(): void {
  const others = process.listeners('exit');
  runAndCache(program);
  for (const atExit of process.listeners('exit').filter((one) => !others.includes(one))) {
    process.removeListener('exit', atExit);
    atExit(0);
  }
}
const said = (): string => readFileSync(join(folder, 'said'), 'utf8');

describe('a compiled program', () => {
  it('runs from the cache that was made of it', () => {
    write('one');
    writeCache();
    expect([runCompiled(program), said()]).toEqual(['cached', `one ${program}`]);
  });

  it('says words beyond ASCII as they were written', () => {
    write('größer 中');
    writeCache();
    expect([runCompiled(program), said()]).toEqual(['cached', `größer 中 ${program}`]);
  });

  it('runs without a cache', () => {
    write('one');
    expect([runCompiled(program), said()]).toEqual(['compiled', `one ${program}`]);
  });

  it('is itself what runs, not what a cache of another text of the same length says', () => {
    write('one');
    writeCache();
    write('two');
    expect([runCompiled(program), said()]).toEqual(['compiled', `two ${program}`]);
  });

  it.each([
    ['has a wrong byte', (cache: Buffer) => cache.fill(0xff, cache.length - 40, cache.length - 30)],
    ['is cut short', (cache: Buffer) => cache.subarray(0, cache.length / 2)],
    ['is empty', () => Buffer.alloc(0)],
  ])('is compiled anew when the cache %s', (_, damage) => {
    write('one');
    writeCache();
    writeFileSync(cacheFile(program), damage(readFileSync(cacheFile(program))));
    expect([runCompiled(program), said()]).toEqual(['compiled', `one ${program}`]);
  });
});
