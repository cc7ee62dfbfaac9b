/** The write-ahead log as a power cut or a bad disk leaves it: an earlier state that is whole, or a refusal; never a mixture. */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from './open.ts';

const COMMITS = 60;
/** The log is folded back once in between, as under load. */
const FOLDED_AFTER = 20;
const TRIES = 12;
const SEED = Number(process.env['PXMGR_SEED'] ?? 1);

let folder = '';
/** The files as kill -9 leaves them. */
let killed = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pxmgr-torn-'));
  killed = join(folder, 'killed.db');
  const path = join(folder, 'controller.db');
  const database = openDatabase(path);
  const cursor = database.sql.prepare('INSERT INTO cursor VALUES (?, ?, ?)');
  const fence = database.sql.prepare('INSERT INTO fence VALUES (?, ?)');
  for (let n = 1; n <= COMMITS; n += 1) {
    database.transaction(() => {
      cursor.run(`c${String(n)}`, 'x'.repeat(n * 37), n);
      fence.run(`n${String(n)}`, n);
    });
    if (n === FOLDED_AFTER) database.sql.pragma('wal_checkpoint(TRUNCATE)');
  }
  for (const suffix of ['', '-wal', '-shm']) copyFileSync(`${path}${suffix}`, `${killed}${suffix}`);
  database.close();
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** 0 to 1, the same each time. */
function random(n: number): number {
  const x = Math.sin(SEED * 1000 + n) * 10_000;
  return x - Math.floor(x);
}

type Damage = (wal: Buffer, at: number) => Buffer | undefined;

const DAMAGES: readonly (readonly [string, Damage])[] = [
  ['cut off', (wal, at) => wal.subarray(0, at)],
  ['with a flipped byte', (wal, at) => flip(wal, at)],
  [
    'with a page of zeros',
    (wal, at) => Buffer.concat([wal.subarray(0, at), Buffer.alloc(4096), wal.subarray(at + 4096)]),
  ],
  ['cut off in its head', (wal, at) => wal.subarray(0, at % 32)],
  ['gone', () => undefined],
];

function flip(wal: Buffer, at: number): Buffer {
  const copy = Buffer.from(wal);
  copy.writeUInt8(copy.readUInt8(at) ^ 0x41, at);
  return copy;
}

/** How many commits are there; all of them are whole. */
function open(path: string): number {
  const database = openDatabase(path);
  try {
    expect(database.check()).toBe('ok');
    const numbers = database.sql.prepare('SELECT sequence FROM cursor ORDER BY sequence').pluck().all();
    expect(database.sql.prepare('SELECT token FROM fence ORDER BY token').pluck().all()).toEqual(numbers);
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => index + 1));
    return numbers.length;
  } finally {
    database.close();
  }
}

describe.each(DAMAGES)('a log that is %s', (_how, damage) => {
  it.each([true, false])('gives an earlier state that is whole (index kept: %s)', (isIndexKept) => {
    const found = new Set<number>();
    for (let n = 0; n < TRIES; n += 1) {
      const path = join(folder, 'damaged.db');
      for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
      copyFileSync(killed, path);
      const wal = readFileSync(`${killed}-wal`);
      const left = damage(wal, Math.floor(random(n) * (wal.length - 1)));
      if (left !== undefined) writeFileSync(`${path}-wal`, left);
      if (isIndexKept && existsSync(`${killed}-shm`)) copyFileSync(`${killed}-shm`, `${path}-shm`);
      try {
        found.add(open(path));
      } catch (error) {
        if (!(error instanceof PxmError)) throw error;
        expect(error.code, `PXMGR_SEED=${String(SEED)}, try ${String(n)}`).toBe('PXM_DATABASE_CORRUPT');
      }
    }
    expect(found.size).toBeGreaterThan(0);
    expect(Math.min(...found)).toBeGreaterThanOrEqual(FOLDED_AFTER);
    expect(Math.max(...found)).toBeLessThanOrEqual(COMMITS);
  });
});
