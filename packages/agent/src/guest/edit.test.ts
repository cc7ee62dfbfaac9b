import { promises, readdirSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { createRunner } from '@pxmgr/kit/exec/run';
import { createLogger } from '@pxmgr/kit/log/logger';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { configDigest, editConfig, removeStaleEdits } from './edit.ts';
import { type FixtureHost, makeHost } from './host.fixture.ts';

const runner = createRunner({
  path: '/usr/bin:/bin',
  logger: createLogger({ service: 'test', version: '0', level: 'silent' }),
});
let host: FixtureHost;
beforeEach(async () => {
  host = await makeHost();
  host.putGuest(101, 'cores: 1\nhostname: web\n\n[snap]\ncores: 1\n');
});
afterEach(() => {
  host.remove();
});

function parts() {
  return {
    paths: host.parts.paths,
    node: 'pve1',
    run: (command: Parameters<typeof runner.run>[0]) => runner.run(command),
  };
}

it('writes under the lock, leaves other sections alone, and lets nobody in between', async () => {
  const counts = Array.from({ length: 8 }, () =>
    editConfig(parts(), {
      vmid: 101,
      change: (config) => {
        config.entries.set('cores', String(Number(config.entries.get('cores')) + 1));
      },
    }),
  );
  await Promise.all(counts);
  expect(host.parts.files.text(101)).toBe('cores: 9\nhostname: web\n\n[snap]\ncores: 1\n');
  expect(readdirSync(join(host.root, 'etc/pve/nodes/pve1/lxc')).sort()).toEqual(['.keep', '101.conf']);
});

it('refuses a lock value, a changed digest, a missing guest and what the guard refuses', async () => {
  const change = (): void => undefined;
  const digest = configDigest(host.parts.files.text(101) ?? '');
  await editConfig(parts(), { vmid: 101, change, digest });
  await expect(editConfig(parts(), { vmid: 101, change, digest: 'other' })).rejects.toMatchObject({
    code: 'PXM_CONFIG_DIGEST_CHANGED',
  });
  await expect(editConfig(parts(), { vmid: 102, change })).rejects.toMatchObject({ code: 'PXM_GUEST_NOT_FOUND' });
  await expect(
    editConfig(parts(), {
      vmid: 101,
      change,
      guard: () => {
        throw new Error('no');
      },
    }),
  ).rejects.toThrow('no');
  await expect(
    editConfig(parts(), {
      vmid: 101,
      change: (config) => {
        config.entries.set('a', 'b\nc: d');
      },
    }),
  ).rejects.toThrow(/line break/);
  host.putGuest(101, 'lock: backup\n');
  await expect(editConfig(parts(), { vmid: 101, change })).rejects.toMatchObject({ code: 'PXM_GUEST_LOCKED' });
});

it('says so when somebody else keeps the lock', async () => {
  const run = () => runner.run({ file: 'false', args: [], purpose: 'a lock that never comes', timeoutMs: 1000 });
  await expect(editConfig({ ...parts(), run }, { vmid: 101, change: () => undefined })).rejects.toMatchObject({
    code: 'PXM_LOCK_TIMEOUT',
  });
});

it('removes half-written files of killed agents only', async () => {
  host.write('etc/pve/nodes/pve1/lxc/101.conf.tmp.pxmgr-1', 'half');
  host.write('etc/pve/nodes/pve1/lxc/101.conf.tmp.77', 'of pct');
  expect(await removeStaleEdits(host.parts.paths, 'pve1')).toEqual(['101.conf.tmp.pxmgr-1']);
});

it('is refused on a node without quorum, also when the loss shows only in the write', async () => {
  const change = (config: { entries: Map<string, string> }): void => {
    config.entries.set('cores', '7');
  };
  host.setQuorate(false);
  await expect(editConfig(parts(), { vmid: 101, change })).rejects.toMatchObject({ code: 'PXM_NO_QUORUM' });
  host.setQuorate(true);
  const denied = Object.assign(new Error('EACCES'), { code: 'EACCES' });
  const open = vi.spyOn(promises, 'open').mockRejectedValue(denied);
  syncBuiltinESMExports();
  try {
    await expect(editConfig(parts(), { vmid: 101, change })).rejects.toMatchObject({ code: 'PXM_NO_QUORUM' });
  } finally {
    open.mockRestore();
    syncBuiltinESMExports();
  }
  expect(host.parts.files.text(101)).toContain('cores: 1\n');
});
