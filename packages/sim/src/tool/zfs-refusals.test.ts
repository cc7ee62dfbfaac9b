/**
 * Arguments and refusals of `zfs` and `zpool` beside what the recordings show, as openzfs/zfs 2.3.9 words them
 * (cmd/zfs/zfs_main.c, cmd/zpool/zpool_main.c, lib/libzfs/libzfs_dataset.c, lib/libzfs/libzfs_util.c).
 */
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Host } from '../host/host.ts';
import { createPool } from '../pool/pools.ts';
import { callTool, scratchHost, type ToolResult } from '../scratch-host.ts';
import { zfs } from './zfs.ts';
import { zpool } from './zpool.ts';

const MIB = 1024 ** 2;
let host: Host;
const run = (line: string): Promise<ToolResult> => {
  const [tool, ...argv] = line.split(' ');
  return callTool(tool === 'zpool' ? zpool : zfs, host, argv);
};

beforeAll(async () => {
  host = scratchHost();
  createPool(host, { name: 'tank', sizeBytes: 512 * MIB });
  createPool(host, { name: 'rpool', sizeBytes: 512 * MIB });
  for (const [path, bytes] of [
    ['/m3', 128 * MIB],
    ['/m4', 128 * MIB],
    ['/small', MIB],
  ] as const) {
    writeFileSync(host.path(path), '');
    truncateSync(host.path(path), bytes);
  }
  for (const line of [
    'zfs create -p tank/a/k',
    'zfs create tank/n',
    'zfs create -V 8m tank/v',
    'zfs snapshot tank/a@s1',
    'zfs snapshot -r tank/a@r1',
    'zfs clone tank/a@s1 tank/c',
    'zfs snapshot tank/c@s1',
    'zfs hold x tank/a/k@r1',
  ])
    expect(await run(line)).toMatchObject({ status: 0, stderr: '' });
});
afterAll(() => rmSync(host.root, { recursive: true, force: true }));

/** Nothing here changes anything, so the cases may share one host. */
const REFUSED: readonly (readonly [line: string, status: number, text: string])[] = [
  ['zfs create tank/ü', 1, "cannot create 'tank/ü': invalid character '\ufffd' in name"],
  ['zfs create -s tank/x', 2, "'-s' and '-b' can only be used when creating a volume"],
  ['zfs create -u -V 1m tank/x', 2, "'-u' can only be used when creating a filesystem"],
  ['zfs create tank/x tank/y', 2, 'too many arguments'],
  ['zfs create -V 16m nopool/x', 1, "cannot open 'nopool': no such pool"],
  ['zfs create -V abc tank/x', 1, "bad volume size 'abc': bad numeric value 'abc'"],
  ['zfs create -V 1m -b 1x tank/x', 1, "bad volume block size '1x': invalid numeric suffix 'x'"],
  ['zfs create -n -o x=y tank/x', 1, "cannot verify 'tank/x': invalid property 'x'"],
  ['zfs create -o quota tank/x', 1, "missing '=' for property=value argument"],
  ['zfs create -o volsize=1m tank/x', 1, "cannot create 'tank/x': 'volsize' does not apply to datasets of this type"],
  ['zfs create -o quota=99999999999999999999 tank/x', 1, "cannot create 'tank/x': numeric value is too large"],
  [
    'zfs create -o refreservation=auto tank/x',
    1,
    "cannot create 'tank/x': 'refreservation=auto' only allowed on volumes",
  ],
  [
    'zfs set volsize=9000000 tank/v',
    255,
    "cannot set property for 'tank/v': 'volsize' must be a multiple of volume block size (16K)",
  ],
  ['zfs set reservation=10g tank/n', 255, "cannot set property for 'tank/n': size is greater than available space"],
  ['zfs set quota=auto tank/n', 255, "cannot set property for 'tank/n': 'auto' is invalid value for 'quota'"],
  ['zfs set atime=on atime=off tank/n', 255, "property 'atime' specified multiple times"],
  ['zfs redact tank/a@s1 b', 255, 'zfs redact is not part of this stand-in'],
  ['zfs upgrad', 2, "unrecognized command 'upgrad'"],
  ['zpool split tank x', 1, 'Unable to split tank: Source pool must be composed only of mirrors'],
  ['zfs set', 2, 'missing arguments'],
  ['zfs set atime=on tank/n devices=on', 2, 'invalid argument order'],
  ['zfs inherit used tank/n', 1, 'used property is read-only'],
  ['zfs inherit -S volsize tank/v', 1, "'volsize' property cannot be reverted to a received value"],
  ['zfs rename tank/n tank/no/n', 1, "cannot create 'tank/no/n': parent does not exist"],
  ['zfs rename tank/n nopool/n', 1, "cannot create 'nopool/n': no such pool 'nopool'"],
  ['zfs rename tank/n tank', 1, "cannot create 'tank': missing dataset name"],
  ['zfs rename tank/n tank/a', 1, "cannot rename 'tank/n': dataset already exists"],
  ['zfs rename tank/a@s1 r1', 1, "cannot rename 'tank/a@s1': dataset already exists"],
  [
    'zfs rename -r tank/a@r1 s1',
    1,
    "cannot rename 'tank/a@r1': a child dataset already has a snapshot with the new name",
  ],
  ['zfs rename -r tank/n tank/x', 2, 'source dataset for recursive rename must be a snapshot'],
  ['zfs rename -pu tank/n tank/x', 2, '-u and -p options are mutually exclusive'],
  ['zfs clone tank/a@s1 nopool/x', 1, "cannot create 'nopool/x': no such pool 'nopool'"],
  ['zfs clone -u tank/a@s1 tank/x', 2, "invalid option 'u'"],
  ['zfs promote tank/c', 1, "cannot promote 'tank/c': conflicting snapshot 's1' from parent 'tank/a@s1'"],
  ['zfs promote tank/a@s1', 1, "cannot open 'tank/a@s1': snapshot delimiter '@' is not expected here"],
  ['zfs snapshot tank/n@a tank/n@b', 1, 'cannot create snapshots : multiple snapshots of same fs not allowed'],
  ['zfs snapshot -o bad tank/n@a', 1, "missing '=' for property=value argument"],
  ['zfs destroy -d tank/n', 1, "cannot open 'tank/n': missing '@' delimiter in snapshot name"],
  ['zfs destroy -n tank/n#b', 255, 'dryrun is not supported with bookmark'],
  ['zfs destroy -r tank/n#b', 255, 'recursive is not supported with bookmark'],
  ['zfs destroy tank/n/', 1, "cannot open 'tank/n/': trailing slash in name"],
  ['zfs hold .x tank/a@s1', 2, "tag may not start with '.'"],
  ['zfs hold y tank/missing@s1', 1, "cannot open 'tank/missing': dataset does not exist"],
  ['zfs hold', 2, 'usage:'],
  ['zfs holds', 2, 'usage:'],
  ['zfs mount tank/a@s1', 1, "cannot open 'tank/a@s1': snapshot delimiter '@' is not expected here"],
  ['zfs mount -a tank', 2, 'too many arguments'],
  ['zfs mount -R', 2, 'no dataset provided'],
  ['zfs bookmark tank/a tank/a#b', 2, "invalid source name 'tank/a': must contain a '@' or '#'"],
  ['zfs bookmark tank/a@s1 tank/a', 2, "invalid bookmark name 'tank/a': must contain a '#'"],
  [
    'zfs bookmark tank/a@s1 tank/n#b',
    1,
    "cannot create bookmark 'tank/n#b': source is not an ancestor of the new bookmark's dataset",
  ],
  ['zfs bookmark tank/a@s1 rpool#b', 1, "cannot create bookmark 'rpool#b': bookmark is in a different pool"],
  ['zfs list -d -1 tank', 2, 'Depth can not be negative.'],
  ['zfs list -s nosuch tank', 2, "invalid property 'nosuch'"],
  ['zfs list tank/a+b', 1, "cannot open 'tank/a+b': invalid character '+' in name"],
  ['zfs get -o name,all used tank', 2, '"all" conflicts with specific fields given to -o option'],
  ['zfs get -o all,name used tank', 2, 'too many fields given to -o option'],
  ['zfs send tank/missing', 1, "cannot open 'tank/missing': dataset does not exist"],
  ['zfs send tank/a@s1 tank/a@r1', 2, 'too many arguments'],
  ['zfs send -X tank/a tank/a@s1', 1, 'Cannot specify dataset exclusion (-X) on a non-recursive send.'],
  ['zfs recv -de tank', 2, 'invalid option combination: -d and -e are mutually exclusive'],
  ['zfs recv -o foo tank/x', 2, "missing '=' for property=value argument"],
  ['zpool destroy tank x', 2, 'too many arguments'],
  ['zpool scrub -s -p tank', 2, 'invalid option combination: -s and -p are mutually exclusive'],
  ['zpool', 2, 'missing command'],
  ['zpool list tank/a', 1, "cannot open 'tank/a': invalid character '/' in pool name"],
  ['zpool get size nopool', 1, 'Cannot get properties of nopool: no such pool available.'],
  ['zpool get size tank nodevice', 2, 'Expected a list of vdevs in "tank", but got:'],
  ['zpool get -o nosuch size tank', 2, "invalid column name 'nosuch'"],
  ['zpool set comment=x nopool', 22, "cannot open 'nopool': is not a pool"],
  [
    'zpool set readonly=on tank',
    1,
    "cannot set property for 'tank': property 'readonly' can only be set at import time",
  ],
  [
    'zpool set feature@nosuch=enabled tank',
    1,
    "cannot set property for 'tank': feature 'nosuch' unsupported by kernel",
  ],
  ['zpool create other mirror /m3', 1, 'invalid vdev specification: mirror requires at least 2 devices'],
  ['zpool create other m3', 1, "cannot open 'm3': no such device in /dev"],
  ['zpool create other /small', 1, "cannot create 'other': one or more devices is less than the minimum size (64M)"],
  ['zpool create mirrored /m3', 1, "cannot create 'mirrored': name is reserved"],
  ['zpool create -m here other /m3', 1, "invalid mountpoint 'here': must be an absolute path, 'legacy', or 'none'"],
  ['zpool create -o nosuch=1 other /m3', 1, "property 'nosuch' is not a valid pool or vdev property"],
  ['zpool add tank mirror /m3 /m4', 1, 'invalid vdev specification'],
  ['zpool remove tank nodevice', 1, 'cannot remove nodevice: no such device in pool'],
  ['zpool remove tank', 2, 'missing device'],
  ['zpool attach tank nodevice /m3', 1, 'cannot attach /m3 to nodevice: no such device in pool'],
  ['zpool replace tank nodevice /m3', 1, 'cannot replace nodevice with /m3: no such device in pool'],
  ['zpool labelclear /m3', 1, 'failed to read label from /m3'],
  ['zpool labelclear /nosuch', 1, 'failed to open /nosuch: No such file or directory'],
  ['zpool status --json-flat-vdevs tank', 2, "'--json-flat-vdevs' only works with '-j' option"],
  ['zpool list --json-pool-key-guid', 2, "'json-pool-key-guid' only works with '-j' option"],
  ['zpool trim', 2, 'missing pool name argument'],
  ['zpool trim nopool', 255, "cannot open 'nopool': no such pool"],
  ['zpool scrub -p tank', 0, ''],
  ['zpool clear tank /nosuch', 1, 'cannot clear errors for /nosuch: no such device in pool'],
  ['zpool set', 2, 'missing property=value argument'],
  ['zpool set autotrim tank', 2, 'missing value in property=value argument'],
  ['zpool wait -t foo tank', 2, "invalid activity 'foo'"],
  ['zpool checkpoint -w tank', 2, '--wait only valid when --discard also specified'],
];

describe('refused', () => {
  it.each(REFUSED)('%s: %i, %s', async (line, status, text) => {
    const { status: ended, stderr, stdout } = await run(line);
    expect([ended, stderr.split('\n')[0], stdout]).toEqual([status, text, '']);
    // The usage text follows where the status says so, and nowhere else.
    expect(stderr.includes('usage:')).toBe(status === 2);
  });

  it('names what hangs on a dataset in the order in which it would go', async () => {
    expect((await run('zfs destroy tank/a')).stderr).toBe(
      "cannot destroy 'tank/a': filesystem has children\nuse '-r' to destroy the following datasets:\ntank/a/k@r1\ntank/a/k\ntank/a@s1\ntank/a@r1\n",
    );
    expect((await run('zfs destroy tank/a@s1')).stderr).toBe(
      "cannot destroy 'tank/a@s1': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\ntank/c@s1\ntank/c\n",
    );
  });
});

describe('done', () => {
  it('rename to the same name and create -p, clone -p of what is there change nothing', async () => {
    for (const line of ['zfs rename tank/n tank/n', 'zfs create -p tank/n', 'zfs clone -p tank/a@s1 tank/c'])
      expect(await run(line)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('tells of ancestors that are made', async () => {
    expect((await run('zfs create -npP -o refquota=1g tank/n5/n6')).stdout).toBe(
      'create_ancestors\ttank/n5/n6\ncreate\ttank/n5/n6\nproperty\trefquota\t1g\n',
    );
    expect((await run('zfs create -nvp tank/n5/n6')).stdout).toBe(
      'would create ancestors of tank/n5/n6\nwould create tank/n5/n6\n',
    );
  });

  it('holds of one without any is a heading, and the heading widens no column', async () => {
    expect(await run('zfs holds tank/a@s1')).toEqual({ status: 0, stdout: 'NAME       TAG  TIMESTAMP\n', stderr: '' });
    expect((await run('zfs holds tank/a/k@r1')).stdout).toMatch(
      /^NAME {9}TAG {2}TIMESTAMP\ntank\/a\/k@r1 {2}x {2}\w{3} /,
    );
  });

  it('shows mounts as JSON', async () => {
    expect(JSON.parse((await run('zfs mount -j')).stdout)).toMatchObject({
      output_version: { command: 'zfs mount' },
      datasets: { 'tank/n': { filesystem: 'tank/n', mountpoint: '/tank/n' } },
    });
  });

  it('lists every command when one is unknown', async () => {
    const { stderr } = await run('zfs frob');
    for (const command of [
      'upgrade [-v]',
      'projectspace [-Hp]',
      'redact <snapshot>',
      'change-key [-l]',
      'unzone <nsfile>',
    ])
      expect(stderr).toContain(`\t${command}`);
    expect(stderr).toContain('\nEach dataset is of the form: pool/[dataset/]*dataset[@name]\n');
  });

  it('empties a pool but leaves its own file system', async () => {
    await run('zfs create -p rpool/x/y');
    await run('zfs snapshot rpool@p');
    expect(await run('zfs destroy -r rpool')).toEqual({ status: 0, stdout: '', stderr: '' });
    expect((await run('zfs list -H -o name -t all -r rpool')).stdout).toBe('rpool\n');
  });
});
