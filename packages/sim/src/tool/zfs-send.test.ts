/** `zfs send` and `zfs receive`: options and refusals of openzfs/zfs 2.3.9 (cmd/zfs/zfs_main.c, lib/libzfs/libzfs_sendrecv.c). */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Host } from '../host/host.ts';
import { createPool } from '../pool/pools.ts';
import { callTool, scratchHost, type ToolResult } from '../scratch-host.ts';
import { zfs } from './zfs.ts';

let host: Host;
const run = (line: string): Promise<ToolResult> => callTool(zfs, host, line.split(' '));

beforeAll(async () => {
  host = scratchHost();
  createPool(host, { name: 'tank', sizeBytes: 512 * 1024 ** 2 });
  for (const line of [
    ...[
      'create -p tank/a/kid',
      'create tank/b',
      'snapshot -r tank/a@s1',
      'snapshot tank/a@s2',
      'bookmark tank/a@s1 tank/a#b',
    ],
    ...['snapshot tank/a@s3', 'create tank/a/late'],
  ])
    expect(await run(line)).toMatchObject({ status: 0, stderr: '' });
});
afterAll(() => rmSync(host.root, { recursive: true, force: true }));

const REFUSED: readonly [line: string, status: number, ...texts: string[]][] = [
  ['send -i @s1 -I @s2 tank/a@s3', 2],
  ['send -I #b tank/a@s2', 1, 'Error: multiple snapshots cannot be sent from a bookmark.'],
  ['send -R tank/a', 1, 'Error: Unsupported flag with filesystem or bookmark.'],
  ['send -I tank/b@s1 tank/a@s2', 2, 'incremental source must be in same filesystem'],
  ['send -s tank/a@s1', 2, 'skip-missing flag can only be used in conjunction with replicate'],
  ['send -R -X tank tank/a@s1', 2, '-X tank: not a valid non-root dataset name.'],
  ['send -i #no tank/a@s2', 1, "warning: cannot send 'tank/a@s2': incremental source (tank/a#no) does not exist"],
  ['send -nv -i #no tank/a@s2', 1, "warning: cannot send 'tank/a@s2': No such file or directory"],
  [
    'send -R tank/a@s2',
    1,
    'cannot send tank/a@s2 recursively: snapshot tank/a/kid@s2 does not exist',
    "warning: cannot send 'tank/a@s2': backup failed",
  ],
  ['send -S tank/a@s1', 2, 'saved send must specify the dataset with partially-received state'],
  ['send -S -p tank/a', 2, 'incompatible flags combined with saved send flag'],
  ['send -S tank/a', 1, ''],
  ['send --redact b tank/a@s1', 1, "warning: cannot send 'tank/a@s1': not a redaction bookmark"],
  ['send -w --redact=b tank/a@s1', 1, 'Error: raw sends may not be redacted.'],
  ['send -t x', 255, 'cannot resume send: resume token is corrupt (invalid format)'],
  ['send -t 2-a-b-c', 255, 'cannot resume send: resume token is corrupt (invalid version 2)'],
  ['send -b -t 1-a-b-c', 2, 'invalid flags combined with -t'],
  ['receive -A tank/no', 2, "cannot open 'tank/no': dataset does not exist"],
  ['receive -A -u tank/a', 2, 'invalid option'],
  ['receive -o a:b=c -x a:b tank/x', 2, "property 'a:b' specified multiple times"],
  ['receive -x a:b=c tank/x', 2, "invalid character '=' in property argument"],
  ['receive -o used=1 tank/x', 1, "cannot receive: cannot receive: invalid property 'used'"],
  ['receive -d tank/no', 1, 'cannot receive: specified fs (tank/no) does not exist'],
];

describe('zfs send and zfs receive', () => {
  it.each(REFUSED)('zfs %s ends with %i', async (line, status, ...texts) => {
    const { status: ended, stdout, stderr } = await run(line);
    const told = stderr.replace(/(^|\n)usage:[^]*$/, '').replace(/\n$/, '');
    expect([ended, told, stdout]).toEqual([status, texts.join('\n'), '']);
    expect(stderr.includes('usage:')).toBe(status === 2);
  });

  const lines = async (line: string): Promise<string[]> => {
    const { stdout } = await run(line);
    return stdout
      .trim()
      .split('\n')
      .map((row) => row.replace(/[\t ](estimated size is )?[\d.]+[KB]?$/, ''));
  };

  it('names the steps by their tags with -I and -R, and in full without', async () => {
    expect(await lines('send -nvP -i @s1 tank/a@s3')).toEqual(['incremental\ttank/a@s1\ttank/a@s3', 'size']);
    expect(await lines('send -nvP -I @s1 tank/a@s3')).toEqual([
      'incremental\ts1\ttank/a@s2',
      'incremental\ts2\ttank/a@s3',
      'size',
    ]);
    expect(await lines('send -nv -I @s2 tank/a@s3')).toEqual(['send from @s2 to tank/a@s3', 'total']);
    expect(await lines('send -nvP -R -i @s1 -X tank/a/kid tank/a@s3')).toEqual(['incremental\ts1\ttank/a@s3', 'size']);
  });

  it('leaves out what is excluded or made later', async () => {
    const { status, stderr } = await run('send -nvP -R -s tank/a@s2');
    expect([status, stderr]).toEqual([
      0,
      'WARNING: skipping dataset tank/a/kid and its children: snapshot s2 does not exist\nskipping dataset tank/a/late: snapshot s2 does not exist\n',
    ]);
    expect(await lines('send -nvP -R -X tank/a/kid tank/a@s1')).toEqual(['full\ttank/a@s1', 'size']);
  });

  it('asks nobody in a dry run that tells nothing', async () => {
    expect(await run('send -n tank/a')).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(await run('send -nV tank/a@s1')).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});
