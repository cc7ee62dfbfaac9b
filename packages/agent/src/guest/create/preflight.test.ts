import type { Mount } from '@pxmgr/contract/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DIGEST, type FixtureHost, makeHost, specOf } from '../host.fixture.ts';
import { argvOf, create, goodCreate, isCreate } from './create.fixture.ts';

let host: FixtureHost;
beforeEach(async () => {
  host = await makeHost();
});
afterEach(() => {
  host.remove();
});

function bindTo(target: string): Mount {
  return { target, source: { $case: 'bind', value: '/etc/pve' }, readOnly: false, backup: false };
}

describe('preflight refuses', () => {
  it.each([
    [
      'all wrong words at once',
      specOf({ name: 'a b', env: [{ name: '1-x', value: '', remove: false }], features: ['magic'] }),
      'PXM_INPUT_INVALID',
    ],
    ['a privileged container from an image', specOf({ privileged: true }), 'PXM_INPUT_INVALID'],
    [
      'an unknown bridge and bind source',
      specOf({
        networks: [{ ...specOf().networks[0]!, bridge: 'vmbr9' }],
        mounts: [{ target: '/m', source: { $case: 'bind', value: '/nope' }, readOnly: false, backup: false }],
      }),
      'PXM_INPUT_INVALID',
    ],
    ['an unknown storage', specOf({ storage: 'nosuch' }), 'PXM_STORAGE_NOT_FOUND'],
    [
      'a missing device',
      specOf({ devices: [{ path: '/dev/dri/renderD128', deviceId: '', groups: [], mode: '' }] }),
      'PXM_DEVICE_NOT_FOUND',
    ],
    [
      'an image that is not here',
      specOf({
        source: {
          $case: 'image',
          value: { reference: 'r', digest: `sha256:${'0'.repeat(64)}`, platform: '', indexDigest: '', sizeBytes: 0n },
        },
      }),
      'PXM_IMAGE_NOT_PULLED',
    ],
    [
      'a second mount on one target',
      specOf({
        mounts: [
          bindTo('/m'),
          { ...bindTo('/m/'), source: { $case: 'volume', value: { storage: '', sizeBytes: 0n } } },
        ],
      }),
      'PXM_INPUT_INVALID',
    ],
    ['a root file system that cannot hold the image', specOf({ rootfsBytes: 10n }), 'PXM_INPUT_INVALID'],
  ])('%s', async (_name, spec, code) => {
    expect((await create(host, spec)).problem?.code).toBe(code);
    expect(host.runner.calls).toEqual([]);
  });

  it('a taken id, an id with old volumes, and a node without quorum', async () => {
    host.write('etc/pve/.vmlist', '{"ids":{"101":{"node":"pve2","type":"qemu","version":1}}}');
    expect((await create(host)).problem).toMatchObject({
      code: 'PXM_VMID_TAKEN',
      message: 'vmid 101 is taken by a vm on pve2',
    });
    host.write('etc/pve/.vmlist', '{}');
    host.write('var/lib/vz/images/101/vm-101-disk-7.raw', 'precious');
    expect((await create(host)).problem).toMatchObject({
      code: 'PXM_VMID_TAKEN',
      message: expect.stringContaining('vm-101-disk-7.raw') as unknown,
    });
    host.setQuorate(false);
    expect((await create(host)).problem?.code).toBe('PXM_NO_QUORUM');
  });

  it('mounts that would hide volumes, each by name', async () => {
    const value = { storage: '', sizeBytes: 0n };
    const spec = specOf({
      mounts: [
        bindTo('/srv//'),
        { target: '/srv/a', source: { $case: 'volume', value }, readOnly: false, backup: false },
        { target: '/srvb', source: { $case: 'volume', value }, readOnly: false, backup: false },
        bindTo('/data/sub'),
      ],
    });
    expect((await create(host, spec)).problem?.message).toMatch(
      /1 problem.*: mount \/srv: it would hide the volume at \/srv\/a$/,
    );
  });

  it('a distribution that Proxmox does not take, unless the guest is unmanaged', async () => {
    const record = await host.parts.images.find(DIGEST);
    const osProblem = 'Proxmox does not know the distribution "wolfi"';
    await host.parts.images.put({ ...record!, findings: { ...record!.findings, osType: 'wolfi', osProblem } });
    for (const osType of ['', 'debian'])
      expect((await create(host, specOf({ osType }))).problem).toMatchObject({
        code: 'PXM_IMAGE_REJECTED',
        message: expect.stringContaining('wolfi') as unknown,
      });
    expect(host.runner.calls).toEqual([]);
    host.runner.expect(isCreate, { effect: goodCreate(host) });
    expect((await create(host, specOf({ osType: 'unmanaged' }))).problem).toBeUndefined();
    expect(argvOf(host, 'create')[0]).toContain('--ostype unmanaged --arch amd64');
  });

  it('a cut archive', async () => {
    host.write('var/lib/vz/template/cache/app.tar', 'cut');
    expect((await create(host)).problem?.code).toBe('PXM_IMAGE_NOT_PULLED');
  });
});
