/**
 * What `zfs` of openzfs/zfs 2.3.9 says and does beside the recorded steps: the order of its checks, who is refused, and
 * what a failure in the middle leaves (cmd/zfs/zfs_main.c, cmd/zfs/zfs_iter.c, lib/libzfs/libzfs_dataset.c,
 * libzfs_changelist.c, libzfs_crypto.c, libzfs_diff.c, libzfs_mount.c).
 */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Host } from '../host/host.ts';
import { createPool } from '../pool/pools.ts';
import { collectIo, scratchHost } from '../scratch-host.ts';
import { zfs } from './zfs.ts';

const NOBODY = 65_534;
let host: Host;

interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(line: string, at: { uid?: number; stdin?: string } = {}): Promise<Answer> {
  const { io, stdout, stderr } = collectIo(at.stdin);
  const status = await zfs(host, line.split(' '), { ...io, ...(at.uid === undefined ? {} : { uid: at.uid }) });
  return { status, stdout: stdout(), stderr: stderr() };
}

async function prepared(): Promise<void> {
  host = scratchHost();
  createPool(host, { name: 'tank', sizeBytes: 512 * 1024 ** 2 });
  for (const line of [
    ...['create -p tank/a/kid', 'create tank/b', 'create -V 16m tank/v', 'create -o mountpoint=legacy tank/legacy'],
    ...['snapshot -r tank/a@s1', 'snapshot tank/a@s2', 'snapshot tank/v@s1', 'bookmark tank/a@s1 tank/a#b1'],
  ])
    expect(await run(line)).toMatchObject({ status: 0, stderr: '' });
}

/** All lines of stderr but the usage text, which follows where the status is 2. */
function told({ status, stderr }: Answer): string[] {
  const lines = stderr.replace(/\n$/, '').split('\n');
  const usage = lines.indexOf('usage:');
  expect(usage >= 0).toBe(status === 2);
  return usage < 0 ? lines : lines.slice(0, usage);
}

type Case = [line: string, status: number, ...texts: string[]];
const same = (name: string): string => `cannot create snapshot '${name}': dataset already exists`;
const wrongKind = (name: string): string => `cannot open '${name}': operation not applicable to datasets of this type`;
const unset = (name: string, reason: string): string => `cannot set property for '${name}': ${reason}`;

const REFUSED: readonly Case[] = [
  ['clone -o', 2, "invalid option 'o'"],
  ['clone --foo', 2, "invalid option '-'"],
  ['create -o', 2, 'missing size argument'],
  ['get -o', 2, "missing argument for 'o' option"],
  ['list -o', 2, "invalid option 'o'"],
  [
    'clone -o encryption=on tank/a@s1 tank/x',
    1,
    "cannot create 'tank/x': Encryption properties must inherit from origin dataset.",
  ],
  ['create -o mlslabel=x tank/x', 1, "cannot create 'tank/x': mlslabels are unsupported"],
  ['snapshot tank/+@s', 2, "cannot open 'tank/+': invalid character '+' in name"],
  ['snapshot -r tank/a@s1', 1, same('tank/a@s1'), same('tank/a/kid@s1'), 'no snapshots were created'],
  ['rename tank tank/x', 1, "cannot rename to 'tank/x': datasets must be within same pool"],
  ['rename tank/a@s1 s1', 1, "cannot rename 'tank/a@s1': dataset already exists"],
  ['rename tank/a@s1 x/y', 1, "cannot rename to 'x/y': trailing slash in name"],
  ['rename tank/a@s1 tank/a@x@y', 1, "cannot rename to 'tank/a@x@y': multiple '@' and/or '#' delimiters in name"],
  ['rename -u tank/a@s1 x', 1, "cannot open 'tank/a@s1': snapshot delimiter '@' is not expected here"],
  ['rename -u tank/v tank/w', 1, wrongKind('tank/v')],
  ['set name=x tank/b', 255, unset('tank/b', "'name' is readonly")],
  ['set version=4 tank/b', 255, unset('tank/b', 'Can not downgrade; already at version 5')],
  ['set keylocation=prompt tank/b', 255, unset('tank/b', "keylocation must be 'none' for unencrypted datasets")],
  ['set keylocation=x tank/b', 255, unset('tank/b', 'invalid keylocation')],
  ['set userquota@nosuch=1m tank/b', 255, unset('tank/b', "'userquota@nosuch' has an invalid user/group name")],
  ['set userused@root=1m tank/b', 255, unset('tank/b', "'userused@root' is readonly")],
  ['set written@s1=1 tank/a', 255, unset('tank/a', "'written@s1' is readonly")],
  ['set volsize=1g tank/v', 255, unset('tank/v', 'size is greater than available space')],
  [
    'set quota=1k tank/b tank/no tank/a',
    255,
    "cannot open 'tank/no': dataset does not exist",
    unset('tank/a', 'size is less than current used or reserved space'),
    unset('tank/b', 'size is less than current used or reserved space'),
  ],
  ['inherit canmount tank/b', 1, "'canmount' property cannot be inherited"],
  ['inherit atime tank/v', 1, "cannot inherit atime for 'tank/v': property doesn't apply to datasets of this type"],
  [
    'inherit quota tank/a tank/b',
    1,
    "'quota' property cannot be inherited",
    "use 'zfs set quota=none' to clear",
    "use 'zfs inherit -S quota' to revert to received value",
  ],
  ['mount -o', 2, "missing argument for 'o' option"],
  ['mount -R tank/no', 2, "cannot open 'tank/no': dataset does not exist"],
  ['unmount /etc', 1, "cannot unmount '/etc': not a ZFS filesystem"],
  [
    'unmount /tank/a/below',
    1,
    "cannot open '/tank/a/below': No such file or directory",
    'warning: /tank/a/below not in/proc/self/mounts',
    '/tank/a/below: No such file or directory',
  ],
  [
    'share tank/a',
    1,
    "cannot share 'tank/a': legacy share",
    'use exports(5) or smb.conf(5) to share this filesystem, or set the sharenfs or sharesmb property',
  ],
  ['share', 2, 'missing filesystem argument (specify -a for all)'],
  ['load-key tank/a', 255, "Key load error: 'tank/a' is not encrypted."],
  ['load-key -a tank/a', 2, 'Cannot specify dataset with -a option'],
  ['change-key tank/a', 255, 'Key change error: Dataset not encrypted.'],
  ['list /nosuch', 1, "cannot open '/nosuch': No such file or directory"],
  ['userspace tank/v', 1, 'operation is only applicable to filesystems and their snapshots'],
  ['userspace -o nosuch tank/a', 255, "invalid type 'nosuch' for -o option"],
  ['userspace -s nosuch tank/a', 2, "invalid field 'nosuch'"],
  ['diff tank/a', 1, "Badly formed snapshot name tank/a: missing '@' delimiter in snapshot name"],
  ['diff tank/a@no', 1, 'Unable to obtain diffs: No such file or directory'],
  ['diff tank/a@s2 tank/a@s1', 1, 'Unable to obtain diffs: ', '   Not an earlier snapshot from the same fs'],
  ['diff tank/a@s1 tank/b', 1, 'Not an earlier snapshot from the same fs: invalid name'],
  ['diff tank/v@s1', 1, wrongKind('tank/v')],
  ['version x', 2, 'too many arguments'],
  ['allow tank/no', 255, "cannot open 'tank/no': dataset does not exist", 'Failed to open dataset: tank/no'],
  [
    'allow nobody nosuch tank/a',
    1,
    "cannot set permissions on 'tank/a': operation not applicable to datasets of this type",
  ],
  ['wait -t nosuch tank/a', 2, "invalid activity 'nosuch'"],
  [`hold ${'t'.repeat(257)} tank/a@s1`, 1, "cannot hold snapshot 'tank/a@s1': tag too long"],
];

/** Checks that need no kernel come first, also for those whom the kernel would refuse. */
const DENIED: readonly Case[] = [
  ['create tank/a', 1, "cannot create 'tank/a': dataset already exists"],
  ['create -o quota=x tank/x', 1, "cannot create 'tank/x': bad numeric value 'x'"],
  ['clone tank/a@s1 tank/b', 1, "cannot create 'tank/b': permission denied"],
  [
    'destroy tank/a',
    1,
    "cannot destroy 'tank/a': filesystem has children",
    "use '-r' to destroy the following datasets:",
    'tank/a/kid@s1',
    'tank/a/kid',
    'tank/a@s1',
    'tank/a@s2',
  ],
  [
    'destroy -r tank/a',
    1,
    'cannot destroy snapshots: permission denied',
    'cannot destroy snapshots: permission denied',
  ],
  ['destroy tank/b', 1, "cannot unmount '/tank/b': permission denied"],
  ['destroy tank/a#b1', 1, 'cannot destroy bookmark: permission denied'],
  ['rename tank/a tank/x', 1, "cannot unmount '/tank/a/kid': permission denied"],
  ['rename tank/legacy tank/x', 1, "cannot rename 'tank/legacy': permission denied"],
  [
    'rollback tank/a@s1',
    1,
    "cannot rollback to 'tank/a@s1': more recent snapshots or bookmarks exist",
    "use '-r' to force deletion of the following snapshots and bookmarks:",
    'tank/a@s2',
  ],
  ['set nosuch=1 tank/a', 255, unset('tank/a', "invalid property 'nosuch'")],
  ['set atime=on tank/b tank/a', 255, unset('tank/a', 'permission denied'), unset('tank/b', 'permission denied')],
  ['snapshot -r tank/a@x', 1, 'cannot create snapshots : permission denied', 'no snapshots were created'],
  ['hold x tank/a@s1', 1, 'cannot hold: permission denied'],
  ['release x tank/a@s1', 1, "cannot release hold from snapshot 'tank/a@s1': no such tag on this dataset"],
  ['mount tank/legacy', 1, "cannot mount 'tank/legacy': legacy mountpoint", 'use mount(8) to mount this filesystem'],
  [
    'diff tank/a@s1',
    1,
    'The diff delegated permission is needed in order',
    'to create a just-in-time snapshot for diffing',
    ': unable to generate diffs',
  ],
];

describe('a call that changes nothing', () => {
  beforeAll(prepared);
  afterAll(() => rmSync(host.root, { recursive: true, force: true }));

  it.each(REFUSED)('zfs %s ends with %i', async (line, status, ...texts) => {
    const answer = await run(line);
    expect([answer.status, told(answer), answer.stdout]).toEqual([status, texts, '']);
  });

  it.each(DENIED)('zfs %s of a plain user ends with %i', async (line, status, ...texts) => {
    const answer = await run(line, { uid: NOBODY });
    expect([answer.status, told(answer), answer.stdout]).toEqual([status, texts, '']);
  });

  it.each([
    ['create -o a:b=* tank/x', 134, "internal error: cannot create 'tank/x': Argument list too long"],
    ['snapshot -o a:b=* tank/b@x', 134, 'internal error: cannot create snapshots : Argument list too long'],
    ['set a:b=* tank/b', 255, "cannot set property for 'tank/b': property value too long"],
  ])('zfs %s with a value that is too long ends with %i', async (line, status, text) => {
    const long = line.replace('*', 'v'.repeat(8192));
    expect(await run(long)).toEqual({ status, stdout: '', stderr: `${text}\n` });
  });

  it('tells what a volume would get', async () => {
    const line = (property: string, value: number): string => `property\t${property}\t${value}\n`;
    expect((await run('create -nvP -V 1m tank/x')).stdout).toBe(
      `create\ttank/x\n${line('volsize', 1_048_576)}${line('refreservation', 1_048_576 + 2 * 131_072 * 8)}`,
    );
    expect((await run('create -nv -s -b 8k -V 1000000 tank/x')).stdout).toBe(
      'would create tank/x\n\tvolblocksize=8192\n\tvolsize=1007616\n',
    );
  });

  it('knows the versions of file systems', async () => {
    expect((await run('upgrade tank/a')).stdout).toBe(
      '0 filesystems upgraded\n1 filesystems already at this version\n',
    );
    expect((await run('upgrade')).stdout).toContain('All filesystems are formatted with the current version.\n');
  });
});

describe('a call that changes something', () => {
  beforeEach(async () => {
    await prepared();
    return () => rmSync(host.root, { recursive: true, force: true });
  });

  const names = async (): Promise<string[]> =>
    (await run('list -H -o name -t all -r tank/a')).stdout.trim().split('\n');
  const mounted = async (name: string): Promise<string> => (await run(`get -H -o value mounted ${name}`)).stdout.trim();

  it('destroys what it can of a tree in which a snapshot is held', async () => {
    await run('hold x tank/a/kid@s1');
    expect(told(await run('destroy -r tank/a'))).toEqual([
      "cannot destroy snapshot tank/a/kid@s1: it's being held. Run 'zfs holds -r tank/a/kid@s1' to see holders.",
      "cannot unmount '/tank/a': pool or dataset is busy",
    ]);
    expect(await names()).toEqual(['tank/a', 'tank/a#b1', 'tank/a/kid', 'tank/a/kid@s1']);
  });

  it('tells of the clones that go with a snapshot', async () => {
    await run('clone tank/a@s1 tank/c');
    expect((await run('destroy -Rv tank/a@s1')).stdout).toBe(
      'will destroy tank/a@s1\nwill destroy tank/a/kid@s1\nwill reclaim 0B\nwill destroy tank/c\n',
    );
    expect((await run('list -H -o name tank/c')).status).toBe(1);
  });

  it('unmounts with canmount=off, and mounts with a new mountpoint only', async () => {
    await run('set canmount=noauto tank/b');
    expect(await mounted('tank/b')).toBe('yes');
    await run('set canmount=off tank/b');
    expect(await mounted('tank/b')).toBe('no');
    await run('set canmount=on tank/b');
    expect(await mounted('tank/b')).toBe('no');
    await run('set -u mountpoint=/x tank/b');
    expect(await mounted('tank/b')).toBe('no');
    await run('set mountpoint=/y tank/b');
    expect((await run('mount')).stdout).toContain('tank/b                          /y\n');
  });

  it('keeps quotas of users', async () => {
    expect(await run('set userquota@root=1m tank/b')).toEqual({ status: 0, stdout: '', stderr: '' });
    expect((await run('get -H -o value,source userquota@0,groupquota@0 tank/b')).stdout).toBe(
      '1M\tlocal\nnone\tlocal\n',
    );
    expect((await run('userspace -H -o name,quota tank/b')).stdout).toBe('root\t1M\n');
  });

  it('tries, loads and changes keys', async () => {
    const first = { stdin: 'password1\n' };
    await run('create -o encryption=on -o keyformat=passphrase tank/enc', first);
    await run('unmount tank/enc');
    expect((await run('unload-key -a')).stdout).toBe('1 / 1 key(s) successfully unloaded\n');
    expect((await run('load-key -n tank/enc', first)).stdout).toBe('1 / 1 key(s) successfully verified\n');
    expect((await run('get -H -o value keystatus tank/enc')).stdout).toBe('unavailable\n');
    expect(await run('load-key -n tank/enc', { stdin: 'other\n' })).toEqual({
      status: 255,
      stdout: '0 / 1 key(s) successfully verified\n',
      stderr: "Key load error: Incorrect key provided for 'tank/enc'.\n",
    });
    expect((await run('load-key -a', first)).stdout).toBe('1 / 1 key(s) successfully loaded\n');
    expect((await run('change-key tank/enc', { stdin: 'password2\n' })).status).toBe(0);
    await run('unload-key tank/enc');
    expect((await run('load-key tank/enc', first)).status).toBe(255);
  });

  it('sets without saying so', async () => {
    expect(await run('atime=off tank/b')).toEqual({ status: 0, stdout: '', stderr: '' });
    expect((await run('get -H -o value atime tank/b')).stdout).toBe('off\n');
  });
});
