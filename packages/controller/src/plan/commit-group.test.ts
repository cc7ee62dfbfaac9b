import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../store/open.ts';
import { CommitGroup } from './commit-group.ts';

let folder: string;
let database: Database;
let told: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pxmgr-group-'));
  database = openDatabase(join(folder, 'controller.db'));
  database.sql.exec('CREATE TABLE note (word TEXT NOT NULL) STRICT');
  told = [];
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

function group(on: Database = database): CommitGroup {
  const hook = (name: string) => (): void => {
    told.push(name);
  };
  return new CommitGroup(on, {
    begin: hook('begin'),
    flush: hook('flush'),
    undone: hook('undone'),
    lost: hook('lost'),
  });
}

function words(): unknown[] {
  return database.sql.prepare('SELECT word FROM note ORDER BY rowid').pluck().all();
}

/** Writes its word and answers with what it saw. */
function note(word: string): () => string {
  return () => {
    database.sql.prepare('INSERT INTO note VALUES (?)').run(word);
    return words().join(' ');
  };
}

describe('jobs of one group', () => {
  it('share a transaction without savepoints, each after what the one before wrote', async () => {
    let parts = 0;
    const counting: Database = {
      ...database,
      part: (work) => {
        parts += 1;
        return database.part(work);
      },
    };
    const one = group(counting);
    expect(await Promise.all(['a', 'b', 'c'].map((word) => one.run(note(word))))).toEqual(['a', 'a b', 'a b c']);
    expect([told, parts]).toEqual([['begin', 'flush'], 0]);
  });

  it('stand alone: what a failing one wrote is taken back, its caller hears why, the others do not notice', async () => {
    const one = group();
    const failure = new Error('not this one');
    const outcomes = await Promise.allSettled([
      one.run(note('a')),
      one.run(() => {
        note('lost')();
        throw failure;
      }),
      one.run(note('c')),
    ]);
    expect(outcomes).toEqual([
      { status: 'fulfilled', value: 'a' },
      { status: 'rejected', reason: failure },
      { status: 'fulfilled', value: 'a c' },
    ]);
    expect(words()).toEqual(['a', 'c']);
    expect(told).toEqual(['begin', 'undone', 'begin', 'flush']);
  });

  it('are all refused when the commit fails', async () => {
    const failure = new Error('the disk is gone');
    const failing: Database = {
      ...database,
      transaction: (work) =>
        database.transaction(() => {
          work();
          throw failure;
        }),
    };
    const one = group(failing);
    const outcomes = await Promise.allSettled(['a', 'b'].map((word) => one.run(note(word))));
    expect(outcomes).toEqual([1, 2].map(() => ({ status: 'rejected', reason: failure })));
    expect([words(), told]).toEqual([[], ['begin', 'flush', 'lost']]);
  });
});
