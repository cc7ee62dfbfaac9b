/**
 * A program, one file of CommonJS text, run with what V8 made of it when it was built: compiling is otherwise half of
 * the time in which a short command starts. The cache counts only for the text, the Node and the kind of processor it was
 * made with. V8 itself looks at its version and flags, and of the text at the length alone (src/snapshot/code-serializer.cc).
 */
import { isAscii } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Script } from 'node:vm';

const DIGEST_BYTES = 32;

export type Outcome = 'cached' | 'compiled';

interface Compiled {
  readonly script: Script;
  readonly by: Outcome;
}

/** `pxmgr.cjs` -> `pxmgr.cache`. */
export function cacheFile(program: string): string {
  return program.replace(/\.cjs$/, '.cache');
}

/**
 * Runs the program, and when it ends writes the cache beside it, for this Node on this kind of machine: with the code of
 * all functions that were called. For a process of its own.
 */
export function runAndCache(program: string): void {
  const text = textOf(program);
  const script = new Script(sourceOf(text), { filename: program });
  process.once('exit', () => {
    const code = script.createCachedData();
    writeFileSync(cacheFile(program), Buffer.concat([digestOf(text, code), code]));
  });
  run(script, program);
}

/** Runs it as `node program` would. Without a cache that fits it is compiled anew; that is no failure. */
export function runCompiled(program: string): Outcome {
  const { script, by } = compile(program);
  run(script, program);
  return by;
}

function run(script: Script, program: string): void {
  const module = { exports: {} };
  const body = script.runInThisContext() as (...scope: readonly unknown[]) => void;
  body(module.exports, createRequire(program), module, program, dirname(program));
}

function compile(program: string): Compiled {
  const text = textOf(program);
  const cachedData = cachedCode(program, text);
  const script = new Script(sourceOf(text), { filename: program, ...(cachedData === undefined ? {} : { cachedData }) });
  return { script, by: script.cachedDataRejected === false ? 'cached' : 'compiled' };
}

/** On the first line, so that lines and columns of stack traces stay those of the file, but for its first line. */
const HEAD = Buffer.from('(function (exports, require, module, __filename, __dirname) { ');
const TAIL = Buffer.from('\n})');

/** Bytes as long as possible: Node reads a file as text in small pieces, and a digest would make them bytes again. */
function textOf(program: string): Buffer {
  return Buffer.concat([HEAD, readFileSync(program), TAIL]);
}

/** Of plain ASCII, which the build writes, V8 uses the bytes as they are. */
function sourceOf(text: Buffer): string {
  return text.toString(isAscii(text) ? 'latin1' : 'utf8');
}

function cachedCode(program: string, text: Buffer): Buffer | undefined {
  let cache: Buffer;
  try {
    cache = readFileSync(cacheFile(program));
  } catch {
    return undefined; // not installed with the program: it is compiled
  }
  const code = cache.subarray(DIGEST_BYTES);
  return digestOf(text, code).equals(cache.subarray(0, DIGEST_BYTES)) ? code : undefined;
}

function digestOf(text: Buffer, code: Buffer): Buffer {
  return createHash('sha256').update(`${process.version} ${process.arch}\n`).update(text).update(code).digest();
}
