import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Host } from '../host/host.ts';
import { createPool } from '../pool/pools.ts';
import { callTool, scratchHost } from '../scratch-host.ts';
import type { Storage } from '../text/storage-cfg.ts';
import { zfs } from '../tool/zfs.ts';
import type { VolumeRequest } from './volumes.ts';
import { zfsVolumes } from './zfs-volumes.ts';

const storage: Storage = {
  id: 'local-zfs',
  type: 'zfspool',
  options: { pool: 'rpool/data', content: 'rootdir,images' },
};
const MIB = 1024 ** 2;
let host: Host;

beforeEach(async () => {
  host = scratchHost();
  createPool(host, { name: 'rpool', sizeBytes: 1024 * MIB });
  await callTool(zfs, host, ['create', 'rpool/data']);
});
afterEach(() => rmSync(host.root, { recursive: true, force: true }));

function request(changes: Partial<VolumeRequest> = {}): VolumeRequest {
  return { vmid: 101, format: 'subvol', sizeBytes: 20 * MIB, log: () => undefined, ...changes };
}

describe('volumes on a zfspool storage', () => {
  it('are gone when they are destroyed, with the folder of one that a rollback left unmounted, and twice is no failure', async () => {
    const volname = await zfsVolumes.alloc(host, storage, request());
    await zfsVolumes.snapshot({ host, storage, volname }, 's1');
    await zfsVolumes.rollback({ host, storage, volname }, 's1');
    expect(existsSync(host.path(`/rpool/data/${volname}`))).toBe(true);
    await zfsVolumes.destroy({ host, storage, volname });
    expect(existsSync(host.path(`/rpool/data/${volname}`))).toBe(false);
    await zfsVolumes.destroy({ host, storage, volname });
  });

  it("are datasets with the plugin's properties, numbered from the lowest free", async () => {
    expect([
      await zfsVolumes.alloc(host, storage, request()),
      await zfsVolumes.alloc(host, storage, request()),
    ]).toEqual(['subvol-101-disk-0', 'subvol-101-disk-1']);
    await zfsVolumes.destroy({ host, storage, volname: 'subvol-101-disk-0' });
    expect(await zfsVolumes.alloc(host, storage, request({ sizeBytes: 0 }))).toBe('subvol-101-disk-0');
    const { stdout } = await callTool(zfs, host, ['get', '-Hp', '-o', 'name,value', 'refquota', '-r', 'rpool/data']);
    expect(stdout).toContain(`rpool/data/subvol-101-disk-1\t${20 * MIB}\n`);
    expect(await zfsVolumes.list(host, storage)).toContainEqual({
      volid: 'local-zfs:subvol-101-disk-0',
      format: 'subvol',
      sizeBytes: 0,
      vmid: 101,
    });
  });

  it("are refused with the plugin's texts", async () => {
    await zfsVolumes.alloc(host, storage, request({ name: 'subvol-101-disk-0' }));
    await expect(zfsVolumes.alloc(host, storage, request({ name: 'subvol-101-disk-0' }))).rejects.toMatchObject({
      status: 1,
      message: "zfs error: cannot create 'rpool/data/subvol-101-disk-0': dataset already exists\n",
    });
    await expect(zfsVolumes.alloc(host, storage, request({ name: 'media' }))).rejects.toMatchObject({
      status: 25,
      message: "illegal name 'media' - should be 'subvol-101-*'\n",
    });
    await expect(zfsVolumes.deleteSnapshot({ host, storage, volname: 'subvol-101-disk-0' }, 's1')).rejects.toThrow(
      'zfs error: could not find any snapshots to destroy; check snapshot names.',
    );
  });

  it('take snapshots that bring back files and size', async () => {
    const name = await zfsVolumes.alloc(host, storage, request());
    const file = join(await zfsVolumes.directory({ host, storage, volname: name }), 'file');
    writeFileSync(file, 'before');
    await zfsVolumes.snapshot({ host, storage, volname: name }, 's1');
    writeFileSync(file, 'after');
    await zfsVolumes.resize({ host, storage, volname: name }, 40 * MIB);
    await zfsVolumes.rollback({ host, storage, volname: name }, 's1');
    // Upstream leaves it unmounted until its next use (pve-storage src/PVE/Storage/ZFSPoolPlugin.pm volume_snapshot_rollback).
    expect(existsSync(file)).toBe(false);
    await zfsVolumes.directory({ host, storage, volname: name });
    expect(readFileSync(file, 'utf8')).toBe('before');
    expect(await zfsVolumes.sizeBytes({ host, storage, volname: name })).toBe(20 * MIB);
    await zfsVolumes.snapshot({ host, storage, volname: name }, 's2');
    expect(await zfsVolumes.newerSnapshots({ host, storage, volname: name }, 's1')).toEqual(['s2']);
    await expect(zfsVolumes.rollback({ host, storage, volname: name }, 's1')).rejects.toThrow('more recent snapshots');
  });

  it.each([
    ['unmounted', true],
    ['mounted', false],
  ])('that were being %s when the tool was killed lose no file', async (_, wasMounted) => {
    const volname = await zfsVolumes.alloc(host, storage, request());
    const at = { host, storage, volname };
    const file = join(await zfsVolumes.directory(at), 'file');
    writeFileSync(file, 'kept');
    await zfsVolumes.snapshot(at, 's1');
    if (!wasMounted) await zfsVolumes.rollback(at, 's1');
    const record = readFileSync(host.simPath('pool.json'));
    if (wasMounted) await zfsVolumes.rollback(at, 's1');
    else await zfsVolumes.directory(at);
    writeFileSync(host.simPath('pool.json'), record);
    await zfsVolumes.rollback(at, 's1');
    expect(join(await zfsVolumes.directory(at), 'file')).toBe(file);
    expect(readFileSync(file, 'utf8')).toBe('kept');
  });

  it('have in a snapshot what they hold, not what one that was killed before had copied', async () => {
    const volname = await zfsVolumes.alloc(host, storage, request());
    const at = { host, storage, volname };
    const file = join(await zfsVolumes.directory(at), 'file');
    writeFileSync(file, 'gone before the next try');
    const record = readFileSync(host.simPath('pool.json'));
    await zfsVolumes.snapshot(at, 's1');
    writeFileSync(host.simPath('pool.json'), record);
    rmSync(file);
    await zfsVolumes.snapshot(at, 's1');
    await zfsVolumes.rollback(at, 's1');
    expect(readdirSync(await zfsVolumes.directory(at))).toEqual([]);
  });

  it('are renamed for another owner', async () => {
    const name = await zfsVolumes.alloc(host, storage, request());
    expect(await zfsVolumes.rename({ host, storage, volname: name }, 200)).toBe('subvol-200-disk-0');
    expect(await zfsVolumes.exists({ host, storage, volname: name })).toBe(false);
    expect(zfsVolumes.inHostPath({ host, storage, volname: 'subvol-200-disk-0' })).toBe(
      '/rpool/data/subvol-200-disk-0',
    );
  });
});
