import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Host } from '../host/host.ts';
import { createPool } from '../pool/pools.ts';
import { callTool, scratchHost, type ToolResult } from '../scratch-host.ts';
import { zfs } from './zfs.ts';
import { zpool } from './zpool.ts';

const MIB = 1024 ** 2;
let host: Host;

beforeEach(() => {
  host = scratchHost();
  createPool(host, { name: 'tank', sizeBytes: 512 * MIB });
  createPool(host, { name: 'rpool', sizeBytes: 512 * MIB });
});
afterEach(() => rmSync(host.root, { recursive: true, force: true }));

function run(...argv: string[]): Promise<ToolResult> {
  return callTool(zfs, host, argv);
}

async function ok(...argv: string[]): Promise<string> {
  const result = await run(...argv);
  expect(result).toMatchObject({ status: 0, stderr: '' });
  return result.stdout;
}

async function refused(status: number, firstLine: string, ...argv: string[]): Promise<void> {
  const result = await run(...argv);
  expect([result.status, result.stderr.split('\n')[0]]).toEqual([status, firstLine]);
}

function write(path: string, text: string): void {
  writeFileSync(host.path(path), text);
}

describe('names and properties', () => {
  it.each([
    [1, "cannot create 'tank/x/y': parent does not exist", 'tank/x/y'],
    [1, "cannot create 'nopool/a': no such pool 'nopool'", 'nopool/a'],
    [1, "cannot create 'tank': missing dataset name", 'tank'],
    [1, "cannot create 'tank//b': empty component or misplaced '@' or '#' delimiter in name", 'tank//b'],
    [1, "cannot create 'tank/b@s': snapshot delimiter '@' is not expected here", 'tank/b@s'],
    [1, "cannot create 'tank/b%c': invalid character % in name", 'tank/b%c'],
    [1, "cannot create 'tank/b+c': invalid character '+' in name", 'tank/b+c'],
    [1, "cannot create 'tank/../b': parent reference, '..' is found in name", 'tank/../b'],
    [2, 'missing filesystem argument', undefined],
  ])('create ends with %i: %s', async (status, text, name) =>
    refused(status, text, 'create', ...(name === undefined ? [] : [name])),
  );

  it('accepts a blank in a name', async () => {
    await ok('create', 'tank/with space');
    expect(existsSync(host.path('/tank/with space'))).toBe(true);
  });

  it('reads properties back in their canonical form', async () => {
    await ok(
      'create',
      '-o',
      'acltype=posixacl',
      '-o',
      'xattr=sa',
      '-o',
      'refquota=51200k',
      '-o',
      'pxmgr:owner=agent',
      'tank/a',
    );
    expect(
      await ok('get', '-Hp', 'acltype,xattr,refquota,compression,atime,origin,pxmgr:owner,mounted', 'tank/a'),
    ).toBe(
      [
        'acltype\tposix\tlocal',
        'xattr\ton\tlocal',
        'refquota\t52428800\tlocal',
        'compression\tlz4\tinherited from tank',
        'atime\ton\tdefault',
        'origin\t-\t-',
        'pxmgr:owner\tagent\tlocal',
        'mounted\tyes\t-',
      ]
        .map((line) => `tank/a\t${line}\n`)
        .join(''),
    );
  });

  it.each([
    ['nosuch=1', "cannot set property for 'tank/a': invalid property 'nosuch'"],
    ['refquota=abc', "cannot set property for 'tank/a': bad numeric value 'abc'"],
    ['refquota=0', "cannot set property for 'tank/a': use 'none' to disable quota/refquota"],
    ['used=1', "cannot set property for 'tank/a': 'used' is readonly"],
    ['atime=maybe', "cannot set property for 'tank/a': 'atime' must be one of 'on | off'"],
  ])('set %s ends with 255', async (pair, text) => {
    await ok('create', 'tank/a');
    await refused(255, text, 'set', pair, 'tank/a');
  });

  it('does not set a quota below what is held, and changes the others when one of several is missing', async () => {
    await ok('create', 'tank/a');
    write('/tank/a/file', 'x'.repeat(3 * MIB));
    await refused(
      255,
      "cannot set property for 'tank/a': size is less than current used or reserved space",
      'set',
      'refquota=1m',
      'tank/a',
    );
    await refused(
      1,
      "cannot open 'tank/missing': dataset does not exist",
      'set',
      'atime=off',
      'tank/missing',
      'tank/a',
    );
    expect(await ok('get', '-Hp', '-o', 'value', 'atime', 'tank/a')).toBe('off\n');
  });
});

describe('list', () => {
  it('gives the rows the storage plugin asks for', async () => {
    await ok('create', 'tank/data');
    await ok('create', '-o', 'refquota=8M', 'tank/data/subvol-101-disk-0');
    await ok('create', '-V', '1M', 'tank/data/vm-100-disk-0');
    expect(
      await ok('list', '-o', 'name,volsize,origin,type,refquota', '-t', 'volume,filesystem', '-d1', '-Hp', 'tank/data'),
    ).toBe(
      'tank/data\t-\t-\tfilesystem\t0\ntank/data/subvol-101-disk-0\t-\t-\tfilesystem\t8388608\ntank/data/vm-100-disk-0\t1048576\t-\tvolume\t-\n',
    );
  });

  it('counts what lies in the directory against the quota, and shows it on the parents', async () => {
    await ok('create', '-o', 'refquota=16M', 'tank/a');
    write('/tank/a/file', 'x'.repeat(4 * MIB));
    const [used, available] = (await ok('list', '-Hp', '-o', 'used,available', 'tank/a'))
      .trim()
      .split('\t')
      .map(Number);
    expect(used).toBeGreaterThanOrEqual(4 * MIB);
    expect((used ?? 0) + (available ?? 0)).toBe(16 * MIB);
    expect(Number(await ok('get', '-Hp', '-o', 'value', 'used', 'tank'))).toBeGreaterThan(used ?? 0);
  });

  it('prints a table, resolves a path, sorts, and says what is missing', async () => {
    await ok('create', 'tank/a');
    expect(await ok('list', '-o', 'name,mountpoint', '-r', 'tank')).toBe(
      'NAME    MOUNTPOINT\ntank    /tank\ntank/a  /tank/a\n',
    );
    mkdirSync(host.path('/tank/a/below'));
    expect(await ok('list', '-Hp', '-o', 'name', '/tank/a/below')).toBe('tank/a\n');
    expect(await ok('list', '-H', '-o', 'name', '-S', 'name', '-r', 'tank')).toBe('tank/a\ntank\n');
    expect(await run('list', '-Hp', '-o', 'name', 'tank/missing', 'tank/a')).toEqual({
      status: 1,
      stdout: 'tank/a\n',
      stderr: "cannot open 'tank/missing': dataset does not exist\n",
    });
    expect(await run('list', '-t', 'snapshot')).toEqual({ status: 0, stdout: '', stderr: 'no datasets available\n' });
    await refused(2, "bad property list: invalid property 'nosuch'", 'list', '-o', 'name,nosuch');
    const json = JSON.parse(await ok('list', '-j', '-o', 'name,refquota', 'tank/a')) as {
      datasets: Record<string, unknown>;
    };
    expect(json.datasets['tank/a']).toMatchObject({
      type: 'FILESYSTEM',
      pool: 'tank',
      properties: { refquota: { value: 'none', source: { type: 'DEFAULT', data: '-' } } },
    });
  });
});

describe('snapshots', () => {
  beforeEach(async () => {
    await ok('create', 'tank/a');
    await ok('create', 'tank/a/child');
    write('/tank/a/file', 'first');
    write('/tank/a/child/own', 'child');
    await ok('snapshot', 'tank/a@s1');
  });

  it('bring back the files of their moment, without those of other datasets', async () => {
    write('/tank/a/file', 'second');
    write('/tank/a/later', '');
    write('/tank/a/child/own', 'changed');
    await ok('rollback', 'tank/a@s1');
    expect(readFileSync(host.path('/tank/a/file'), 'utf8')).toBe('first');
    expect(existsSync(host.path('/tank/a/later'))).toBe(false);
    expect(readFileSync(host.path('/tank/a/child/own'), 'utf8')).toBe('changed');
  });

  it('older than another are not rolled back to without -r', async () => {
    await ok('snapshot', 'tank/a@s2');
    const result = await run('rollback', 'tank/a@s1');
    expect(result).toMatchObject({
      status: 1,
      stderr:
        "cannot rollback to 'tank/a@s1': more recent snapshots or bookmarks exist\nuse '-r' to force deletion of the following snapshots and bookmarks:\ntank/a@s2\n",
    });
    await ok('rollback', '-r', 'tank/a@s1');
    expect(await ok('list', '-H', '-o', 'name', '-t', 'snapshot')).toBe('tank/a@s1\n');
  });

  it('become clones, and stay while those live', async () => {
    await ok('clone', '-o', 'refquota=20m', 'tank/a@s1', 'tank/c');
    expect(readFileSync(host.path('/tank/c/file'), 'utf8')).toBe('first');
    expect(await ok('get', '-Hp', '-o', 'value', 'origin,used,refquota', 'tank/c')).toBe('tank/a@s1\n0\n20971520\n');
    await refused(1, "cannot destroy 'tank/a@s1': snapshot has dependent clones", 'destroy', 'tank/a@s1');
    await refused(1, "cannot destroy 'tank/a': filesystem has dependent clones", 'destroy', '-r', 'tank/a');
    await ok('destroy', 'tank/c');
    await ok('destroy', 'tank/a@s1');
    expect(existsSync(host.path('/tank/c'))).toBe(false);
  });

  it('are refused twice, without a dataset, and as a set when one exists', async () => {
    await refused(1, "cannot create snapshot 'tank/a@s1': dataset already exists", 'snapshot', 'tank/a@s1');
    await refused(2, "cannot open 'tank/missing': dataset does not exist", 'snapshot', 'tank/missing@s1');
    expect(await run('snapshot', '-r', 'tank/a@s1')).toMatchObject({
      status: 1,
      stderr: "cannot create snapshot 'tank/a@s1': dataset already exists\nno snapshots were created\n",
    });
    expect(await ok('list', '-H', '-o', 'name', '-t', 'snapshot')).toBe('tank/a@s1\n');
  });

  it('can be held', async () => {
    await ok('hold', 'keep', 'tank/a@s1');
    await refused(
      1,
      "cannot hold snapshot 'tank/a@s1': tag already exists on this dataset",
      'hold',
      'keep',
      'tank/a@s1',
    );
    await refused(
      1,
      "cannot destroy snapshot tank/a@s1: it's being held. Run 'zfs holds -r tank/a@s1' to see holders.",
      'destroy',
      'tank/a@s1',
    );
    // A dry run does not look at holds.
    expect(await ok('destroy', '-nvp', 'tank/a@s1')).toBe('destroy\ttank/a@s1\nreclaim\t0\n');
    await ok('release', 'keep', 'tank/a@s1');
    await ok('destroy', 'tank/a@s1');
  });

  it('carry user properties only', async () => {
    await ok('set', 'pve-storage:refquota=52428800', 'tank/a@s1');
    expect(await ok('get', '-Hp', 'pve-storage:refquota', 'tank/a@s1')).toBe(
      'tank/a@s1\tpve-storage:refquota\t52428800\tlocal\n',
    );
    await refused(
      255,
      "cannot set property for 'tank/a@s1': this property can not be modified for snapshots",
      'set',
      'atime=off',
      'tank/a@s1',
    );
  });
});

describe('destroy and rename', () => {
  it('lists what a recursive destroy would take, children first', async () => {
    for (const name of ['tank/t', 'tank/t/k1', 'tank/t/k2']) await ok('create', name);
    await ok('snapshot', 'tank/t@s1');
    await refused(1, "cannot destroy 'tank/t': filesystem has children", 'destroy', 'tank/t');
    expect(await ok('destroy', '-rnvp', 'tank/t')).toBe(
      'destroy\ttank/t/k1\ndestroy\ttank/t/k2\ndestroy\ttank/t@s1\ndestroy\ttank/t\n',
    );
    await ok('destroy', '-r', 'tank/t');
    expect(existsSync(host.path('/tank/t'))).toBe(false);
    await refused(1, "cannot open 'tank/t': dataset does not exist", 'destroy', 'tank/t');
  });

  it('finds no snapshots to destroy, or some of a list', async () => {
    await ok('create', 'tank/t');
    for (const tag of ['a', 'b', 'c', 'd']) await ok('snapshot', `tank/t@${tag}`);
    await refused(1, 'could not find any snapshots to destroy; check snapshot names.', 'destroy', 'tank/t@x');
    await ok('destroy', 'tank/t@a,x');
    await ok('destroy', 'tank/t@%c');
    expect(await ok('list', '-H', '-o', 'name', '-t', 'snapshot')).toBe('tank/t@d\n');
  });

  it('moves files and origins with the name', async () => {
    await ok('create', 'tank/a');
    write('/tank/a/file', 'x');
    await ok('snapshot', 'tank/a@__base__');
    await ok('clone', 'tank/a@__base__', 'tank/c');
    await ok('rename', 'tank/a', 'tank/base');
    expect(readFileSync(host.path('/tank/base/file'), 'utf8')).toBe('x');
    expect(await ok('get', '-Hp', '-o', 'value', 'origin', 'tank/c')).toBe('tank/base@__base__\n');
    await refused(1, "cannot rename to 'rpool/x': datasets must be within same pool", 'rename', 'tank/base', 'rpool/x');
  });
});

describe('zpool', () => {
  it('lists pools and their health', async () => {
    expect((await callTool(zpool, host, ['list', '-Hp', '-o', 'name,size,free,health'])).stdout).toBe(
      `rpool\t${512 * MIB}\t${512 * MIB - 24_576}\tONLINE\ntank\t${512 * MIB}\t${512 * MIB - 24_576}\tONLINE\n`,
    );
    expect(await callTool(zpool, host, ['list', 'nopool'])).toEqual({
      status: 1,
      stdout: '',
      stderr: "cannot open 'nopool': no such pool\n",
    });
    expect((await callTool(zpool, host, ['status', '-x'])).stdout).toBe('all pools are healthy\n');
    expect((await callTool(zpool, host, ['status', 'tank'])).stdout).toMatch(
      /^ {2}pool: tank\n state: ONLINE\nconfig:\n\n\tNAME +STATE +READ WRITE CKSUM\n\ttank /,
    );
  });

  it('refuses to create beyond its size', async () => {
    createPool(host, { name: 'tiny', sizeBytes: MIB });
    mkdirSync(host.path('/tiny'), { recursive: true });
    write('/tiny/fill', 'x'.repeat(2 * MIB));
    await refused(1, "cannot create 'tiny/c': out of space", 'create', 'tiny/c');
  });
});
