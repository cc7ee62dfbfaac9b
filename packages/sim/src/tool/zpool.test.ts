/** `zpool` beside what the recordings show, as openzfs/zfs 2.3.9 has it (cmd/zpool/zpool_main.c, lib/libzfs/libzfs_pool.c). */
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Host } from '../host/host.ts';
import { collectIo, scratchHost, type ToolResult } from '../scratch-host.ts';
import { zpool } from './zpool.ts';

const MIB = 1024 ** 2;
const NOBODY = 65_534;
let host: Host;

beforeEach(async () => {
  host = scratchHost();
  for (const path of ['/m1', '/m2', '/m3', '/m4']) {
    writeFileSync(host.path(path), '');
    truncateSync(host.path(path), 128 * MIB);
  }
  await ok('create mir mirror /m1 /m2');
});
afterEach(() => rmSync(host.root, { recursive: true, force: true }));

async function run(line: string, uid = 0): Promise<ToolResult> {
  const { io, stdout, stderr } = collectIo();
  const status = await zpool(host, line.split(' '), { ...io, uid });
  return { status, stdout: stdout(), stderr: stderr() };
}

async function ok(line: string): Promise<string> {
  const result = await run(line);
  expect(result).toMatchObject({ status: 0, stderr: '' });
  return result.stdout;
}

describe('devices', () => {
  it('of a new pool give it what is left after labels and half-filled metaslabs', async () => {
    expect(await ok('list -Hp -o size mir')).toBe(`${112 * MIB}\n`);
  });

  it('are added when they are of the kind the pool has', async () => {
    expect((await run('add mir /m3')).stderr).toBe(
      "invalid vdev specification\nuse '-f' to override the following errors:\nmismatched replication level: pool uses mirror and new vdev is file\n",
    );
    expect(await ok('add -n mir mirror /m3 /m4')).toBe(
      "would update 'mir' to the following configuration:\n\n\tmir\n\t  mirror-0\n\t    /m1\n\t    /m2\n\t  mirror\n\t    /m3\n\t    /m4\n",
    );
    await ok('add mir mirror /m3 /m4');
    expect(await ok('list -Hp -o size mir')).toBe(`${224 * MIB}\n`);
    expect(await ok('status mir')).toContain('\n\t  mirror-1  ONLINE');
  });

  it('are taken out whole, and never the last', async () => {
    expect((await run('remove mir /m1')).stderr).toBe(
      'cannot remove /m1: operation not supported on this type of pool\n',
    );
    expect((await run('remove mir mirror-0')).stderr).toBe('cannot remove mirror-0: out of space\n');
    await ok('add -f mir /m3');
    await ok('remove mir /m3');
    expect(await ok('status mir')).not.toContain('/m3');
  });

  it('keep their label after export', async () => {
    expect(await run('labelclear /m1')).toEqual({
      status: 1,
      stdout: '\n',
      stderr: '/m1 is a member (ACTIVE) of pool "mir"',
    });
    await ok('export mir');
    expect((await run('labelclear /m1')).stderr).toContain('/m1 is a member of exported pool "mir"\n');
    await ok('labelclear -f /m1');
    expect(await run('import -d / mir')).toMatchObject({ status: 1 });
  });
});

describe('list -v', () => {
  it('indents devices below their pool, and has a tab before them for scripts', async () => {
    const names = (text: string): string[] => text.split('\n').map((line) => /^\s*\S*/.exec(line)?.[0] ?? '');
    expect(names(await ok('list -v mir'))).toEqual(['NAME', 'mir', '  mirror-0', '    /m1', '    /m2', '']);
    expect(await ok('list -v mir')).toMatch(/\n {2}mirror-0 .* 0\.0\d% /);
    expect(names(await ok('list -Hv mir'))).toEqual(['mir', '\tmirror-0', '\t/m1', '\t/m2', '']);
  });
});

describe('a scrub', () => {
  it('that is stopped is told as canceled, and can begin anew', async () => {
    await ok('scrub mir');
    await ok('scrub -s mir');
    expect(await ok('status mir')).toMatch(/\n {2}scan: scrub canceled on \w{3} /);
    await ok('scrub mir');
  });
});

describe('status as JSON', () => {
  it('ends what is wrong and what to do with a line feed, and names the zone in times', async () => {
    await ok('scrub mir');
    await ok('wait mir');
    await ok('offline mir /m2');
    const { pools } = JSON.parse(await ok('status -j mir')) as {
      pools: { mir: { status: string; action: string; scan_stats: { end_time: string; scrub_pause: string } } };
    };
    expect(pools.mir.status).toMatch(/^One or more devices[^]*\n\tdegraded state\.\n$/);
    expect(pools.mir.action).toMatch(/'zpool replace'\.\n$/);
    expect(pools.mir.scan_stats.end_time).toMatch(/^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \S+ 20\d\d$/);
    expect(pools.mir.scan_stats.scrub_pause).toBe('-');
  });

  it('tells of a resilver what it read and which device it wrote to', async () => {
    await ok('offline mir /m2');
    await ok('online mir /m2');
    const { pools } = JSON.parse(await ok('status -j --json-int mir')) as {
      pools: {
        mir: { scan_stats: object; vdevs: { mir: { vdevs: { 'mirror-0': { vdevs: Record<string, object> } } } } };
      };
    };
    expect(Object.keys(pools.mir.scan_stats)).toEqual([
      ...['function', 'state', 'start_time', 'end_time', 'to_examine', 'examined', 'skipped', 'processed', 'errors'],
      ...['bytes_per_scan', 'pass_start', 'scrub_pause', 'scrub_spent_paused', 'issued_bytes_per_scan', 'issued'],
    ]);
    const leaves = pools.mir.vdevs.mir.vdevs['mirror-0'].vdevs;
    expect(leaves['/m2']).toMatchObject({ checksum_errors: 0, scan_processed: 18_432, slow_ios: 0 });
    expect(leaves['/m1']).not.toHaveProperty('scan_processed');
  });
});

describe('properties', () => {
  it('get all has every one once, in the order of the program', async () => {
    const names = (await ok('get -H -o property all mir')).trimEnd().split('\n');
    expect(new Set(names).size).toBe(names.length);
    expect([names[0], names[1], names.at(33), names.at(-1)]).toEqual([
      'size',
      'capacity',
      'last_scrubbed_txg',
      'feature@large_microzap',
    ]);
    expect(await ok('get -H feature@encryption mir')).toBe('mir\tfeature@encryption\tenabled\tlocal\n');
  });

  it('of create -o are the pool’s own', async () => {
    await ok('create -o comment=mine other /m3');
    expect(await ok('get -H comment other')).toBe('other\tcomment\tmine\tlocal\n');
  });
});

it.each([
  ['iostat nopool', 'Unable to parse pools/vdevs list.\n'],
  ['split nopool x', "cannot open 'nopool': no such pool"],
  ['split mir 1x', 'Unable to split mir: name must begin with a letter'],
  ['split single x', 'Unable to split single: Source pool must be composed only of mirrors\n'],
])('%s is refused: %s', async (line, text) => {
  await ok('create single /m3');
  expect(await run(line)).toEqual({ status: 1, stdout: '', stderr: `${text}\n` });
});

describe('users other than root', () => {
  it.each([
    ['scrub mir', 'cannot scrub mir: permission denied'],
    ['scrub nopool', "cannot open 'nopool': no such pool"],
    ['export mir', "cannot unmount '/mir': permission denied"],
    ['offline mir /m1', 'cannot offline /m1: permission denied'],
    ['clear mir', 'cannot clear errors for mir: permission denied'],
    ['set comment=x mir', "cannot set property for 'mir': permission denied"],
    ['import', 'cannot discover pools: permission denied'],
    ['history mir', "cannot show history for pool 'mir': permission denied"],
    ['create other /m3', "cannot create 'other': permission denied"],
  ])('%s: %s', async (line, text) => {
    expect(await run(line, NOBODY)).toEqual({ status: 1, stdout: '', stderr: `${text}\n` });
  });
});
