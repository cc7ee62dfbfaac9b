import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Host } from '../host/host.ts';
import { createPool } from '../pool/pools.ts';
import { callTool, scratchHost } from '../scratch-host.ts';
import { zfs } from './zfs.ts';
import { zpool } from './zpool.ts';

let host: Host;
const run = async (line: string): Promise<string> => (await callTool(zfs, host, line.split(' '))).stdout;

beforeAll(async () => {
  host = scratchHost();
  createPool(host, { name: 'tank', sizeBytes: 512 * 1024 ** 2 });
  for (const line of ['create -o refquota=20m tank/a', 'create tank/b', 'create tank/b/c']) await run(line);
});
afterAll(() => rmSync(host.root, { recursive: true, force: true }));

describe('columns', () => {
  it.each([
    ['list tank/a', 'NAME     USED  AVAIL  REFER  MOUNTPOINT', 'tank/a    24K  20.0M    24K  /tank/a'],
    ['list -o used,name tank/a', ' USED  NAME', '  24K  tank/a'],
    [
      'list -o name,mounted,compress,used tank/a',
      'NAME    MOUNTED  COMPRESS         USED',
      'tank/a  yes      lz4               24K',
    ],
    ['list -p -o used,refquota tank/a', ' USED  REFQUOTA', '24576  20971520'],
    ['list -o written@s,name tank/a', 'WRITTEN@S  NAME', '      24K  tank/a'],
  ])('of zfs %s', async (line, ...rows) => {
    expect(await run(line)).toBe(rows.map((row) => `${row}\n`).join(''));
  });

  it.each([
    [
      'get compression tank/a',
      'NAME    PROPERTY     VALUE           SOURCE',
      'tank/a  compression  lz4             inherited from tank',
    ],
    ['get refquota tank/a', 'NAME    PROPERTY  VALUE     SOURCE', 'tank/a  refquota  20M       local'],
    ['get -p used tank', 'NAME  PROPERTY  VALUE  SOURCE', /^tank {2}used {6}\d{5,} {2}-$/],
    ['get -o source,name atime tank/a', 'SOURCE                NAME', 'default               tank/a'],
    [
      'get -o all atime tank/a',
      'NAME    PROPERTY  VALUE  RECEIVED  SOURCE',
      'tank/a  atime     on     -         default',
    ],
  ])('of zfs %s', async (line, head, row) => {
    const [first, second] = (await run(line)).split('\n');
    expect(first).toBe(head);
    expect(second).toEqual(typeof row === 'string' ? row : expect.stringMatching(row));
  });

  it('of zpool list and zpool get', async () => {
    const pool = async (line: string): Promise<string[]> =>
      (await callTool(zpool, host, line.split(' '))).stdout.trimEnd().split('\n');
    expect((await pool('list'))[0]).toBe(
      'NAME   SIZE  ALLOC   FREE  CKPOINT  EXPANDSZ   FRAG    CAP  DEDUP    HEALTH  ALTROOT',
    );
    expect((await pool('list -v'))[0]).toMatch(/^NAME {3,} {2} SIZE {2}ALLOC {3}FREE {2}CKPOINT/);
    expect(await pool('get failmode,autotrim tank')).toEqual([
      'NAME  PROPERTY  VALUE     SOURCE',
      'tank  failmode  wait      default',
      'tank  autotrim  off       default',
    ]);
    expect((await pool('get feature@lz4_compress tank'))[1]).toBe(
      'tank  feature@lz4_compress  active                local',
    );
  });

  it('has room for the widest of all properties', async () => {
    expect((await run('get all tank/a')).split('\n')[0]).toBe(
      `NAME    PROPERTY              ${'VALUE'.padEnd(21)}  SOURCE`,
    );
    expect((await run('list -o all tank/a')).split('\n')[0]).toMatch(
      /^NAME {4}TYPE {8}CREATION .* DIRECT {4}LONGNAME$/,
    );
  });

  it('goes only so deep without a name, too', async () => {
    expect(await run('list -H -o name -d 1')).toBe('tank\ntank/a\ntank/b\n');
  });
});
