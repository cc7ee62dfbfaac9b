import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { createRunner } from '@pxmgr/kit/exec/run';
import { ScriptedRunner } from '@pxmgr/kit/exec/scripted';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HostPaths } from '../../host/paths.ts';
import type { VolumeParts } from '../volumes.ts';
import { checkRootFiles, unfinishedExtraction } from './verify-root.ts';

const FILES = [
  { path: 'bin/app', bytes: 5 },
  { path: 'usr/share/last', bytes: 3 },
];
const STORAGES = `dir: local
	path /var/lib/vz
	content rootdir,images
zfspool: tank
	pool tank/guests
lvmthin: thin
	vgname pve
rbd: ceph
	pool vms
`;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pxmgr-root-'));
  put('etc/pve/storage.cfg', STORAGES);
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function parts(runner = new ScriptedRunner()): VolumeParts {
  return { paths: new HostPaths(root), node: 'pve1', run: (command) => runner.run(command) };
}

it('looks into a folder: missing files, other sizes and links in the place of files are told', async () => {
  const folder = 'var/lib/vz/images/101/subvol-101-disk-0.subvol';
  put(`${folder}/bin/app`, 'hello');
  put(`${folder}/usr/share/last`, 'abc');
  const check = () => checkRootFiles(parts(), 'local:101/subvol-101-disk-0.subvol', FILES);
  expect(await check()).toEqual({ kind: 'complete' });
  put(`${folder}/bin/app`, 'hel');
  expect(await check()).toMatchObject({
    kind: 'incomplete',
    difference: expect.stringMatching(/1 of 2 .*\/bin\/app/) as string,
  });
  rmSync(join(root, folder, 'usr'), { recursive: true });
  expect(await check()).toMatchObject({ difference: expect.stringContaining('2 of 2') as string });
  rmSync(join(root, folder, 'bin/app'));
  symlinkSync('/bin/sh', join(root, folder, 'bin/app'));
  expect(await check()).toMatchObject({ kind: 'incomplete' });
});

it('looks into a dataset that is mounted', async () => {
  const row = (mounted: string): string =>
    `tank/guests/subvol-101-disk-0\tfilesystem\t1\t1\t0\t-\t${mounted}\t/tank/g\n`;
  put('tank/g/bin/app', 'hello');
  put('tank/g/usr/share/last', 'abc');
  const check = (mounted: string) =>
    checkRootFiles(
      parts(new ScriptedRunner().expect(() => true, { stdout: row(mounted) })),
      'tank:subvol-101-disk-0',
      FILES,
    );
  expect(await check('yes')).toEqual({ kind: 'complete' });
  expect(await check('no')).toMatchObject({
    kind: 'unknown',
    reason: expect.stringContaining('not mounted') as string,
  });
});

it('reads ext4 with debugfs, and says when it cannot', async () => {
  const runner = createRunner({ path: '/usr/sbin:/usr/bin:/sbin:/bin', logger: silentLogger() });
  const image = join(root, 'var/lib/vz/images/101/vm-101-disk-0.raw');
  put('var/lib/vz/images/101/vm-101-disk-0.raw', '');
  truncateSync(image, 4 * 1024 * 1024);
  const look = {
    paths: new HostPaths(root),
    node: 'pve1',
    run: (command: Parameters<typeof runner.run>[0]) => runner.run(command),
  };
  const check = () => checkRootFiles(look, 'local:101/vm-101-disk-0.raw', FILES);
  expect(await check()).toMatchObject({
    kind: 'unknown',
    reason: expect.stringContaining('Bad magic number') as string,
  });
  put('tree/bin/app', 'hello');
  const mkfs = (): Promise<CommandResult> =>
    runner.run({
      file: 'mkfs.ext4',
      args: ['-q', '-F', '-d', join(root, 'tree'), image],
      purpose: 'fs',
      timeoutMs: 30_000,
    });
  await mkfs();
  expect(await check()).toMatchObject({
    kind: 'incomplete',
    difference: expect.stringContaining('/usr/share/last') as string,
  });
  put('tree/usr/share/last', 'abc');
  await mkfs();
  expect(await check()).toEqual({ kind: 'complete' });
});

it('says what it cannot look at', async () => {
  const reasonOf = async (volumeId: string): Promise<string> => {
    const found = await checkRootFiles(parts(), volumeId, FILES);
    return found.kind === 'unknown' ? found.reason : found.kind;
  };
  expect(await reasonOf('ceph:vm-101-disk-0')).toMatch(/type rbd/);
  expect(await reasonOf('thin:vm-101-disk-0')).toMatch(/\/dev\/pve\/vm-101-disk-0 is not active/);
  expect(await reasonOf('none:x')).toMatch(/not defined/);
});

it('unfinishedExtraction misses the last line of tar, where tar was run', () => {
  const result = (stdout: string, truncated = false) => ({ stdout, truncated }) as CommandResult;
  const begun = "Formatting 'x'\nextracting archive '/x/y.tar.zst'\n";
  expect(
    unfinishedExtraction(result(`${begun}Total bytes read: 2129920 (2.1MiB, 96MiB/s)\nDetected\n`)),
  ).toBeUndefined();
  expect(unfinishedExtraction(result(begun))).toMatch(/not unpacked to its end/);
  expect(unfinishedExtraction(result(begun, true))).toBeUndefined();
  expect(unfinishedExtraction(result('other words\n'))).toBeUndefined();
});
