/** No parser and no builder of argv without a row: the names are read from the source. */
import { expect, it } from 'vitest';
import { treeFiles } from '../house/tree.ts';
import { ROWS } from './fire.ts';

/** parseX, xCommand and xArgs are what these are called here (house rule); `read` functions open a file and parse it. */
const NAME = /^export (?:async )?function (parse\w*|\w+Command|\w+Args)\b/gm;

/** Not under fire here, and why. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  internalCommand: 'makes a line for people; nothing runs it',
  checkCommand: 'is the door itself; every builder row goes through it',
  parseBusKeys: 'reads a file that only the controller writes; a damaged one must stop it',
};

it('has a row for every one', () => {
  // The stand-in's own parsers are held against recordings of the real tools.
  const files = treeFiles(/^packages\/(?:contract|kit|agent|controller|cli)\/src\/.*\.ts$/).filter(
    ({ path }) => !/\.(?:test|fixture)\.ts$|-fixture\.ts$|\/gen\//.test(path),
  );
  const found = files.flatMap(({ text }) => [...text.matchAll(NAME)].map((match) => match[1] ?? ''));
  expect(found.length).toBeGreaterThan(60);
  const known = new Set([...ROWS.flatMap((row) => row.of), ...Object.keys(ELSEWHERE)]);
  expect([...new Set(found)].filter((name) => !known.has(name)).sort()).toEqual([]);
});
