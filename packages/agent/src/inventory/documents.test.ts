import { parsePciAddress } from '@pxmgr/contract';
import { ContainerDocument, VmDocument } from '@pxmgr/contract/common';
import { FakeClock } from '@pxmgr/kit/clock';
import { describe, expect, it } from 'vitest';
import { parseGuestConfig } from '../guest/config-file.ts';
import type { GuestRecord } from '../guest/guest-list.ts';
import { GuestList } from '../guest/guest-list.ts';
import { RunState } from '../guest/run-state.ts';
import { fixture } from '../host/fixture-file.fixture.ts';
import { NodeTree } from '../host/host-tree.fixture.ts';
import { containerDocument } from './container-document.ts';
import { GuestCollectors } from './guests.ts';
import { createMask } from './mask.ts';
import { to16Mib, toOnePercent } from './stable-value.ts';
import { parseStoredSize } from './stored-value.ts';
import { vmDocument } from './vm-document.ts';

const GIB = 1024n ** 3n;
const UID = '0123456789abcdef0123456789abcdef';
const context = {
  mask: createMask('test'),
  originOf: (uid: string) => (uid === UID ? { imageReference: 'host/app:1', imageDigest: 'sha256:1' } : undefined),
};

function guest(text: string, more: Partial<GuestRecord> = {}): GuestRecord {
  return { vmid: 101, kind: 'container', config: parseGuestConfig(text), isRunning: false, addresses: [], ...more };
}

describe('containerDocument', () => {
  it('tells a Debian container with pending values and a snapshot', () => {
    const document = containerDocument(
      guest(fixture('pve-container-6.1/101.conf'), { isRunning: true, addresses: ['2001:db8::1/64', '192.0.2.11/24'] }),
      context,
    );
    expect(document).toMatchObject({
      vmid: 101,
      name: 'proxy',
      status: 'running',
      guestUid: '',
      cores: 2,
      memoryBytes: GIB,
      swapBytes: GIB / 2n,
      onBoot: true,
      unprivileged: true,
      template: false,
      tags: ['edge', 'prod'],
      pending: ['memory', 'onboot'],
      pendingMemoryBytes: 2n * GIB,
      pendingCores: 0,
      snapshots: ['before-upgrade'],
      addresses: ['192.0.2.11/24', '2001:db8::1/64'],
      description: 'Reverse proxy\nOwner: ops',
    });
    expect(document.mountPoints).toEqual([
      {
        key: 'rootfs',
        volume: 'local-zfs:subvol-101-disk-0',
        target: '/',
        sizeBytes: 8n * GIB,
        readOnly: false,
        backup: true,
      },
      {
        key: 'mp0',
        volume: 'local-zfs:subvol-101-disk-1',
        target: '/var/www',
        sizeBytes: 16n * GIB,
        readOnly: false,
        backup: true,
      },
    ]);
    expect(document.networks).toEqual([
      {
        key: 'net0',
        name: 'eth0',
        bridge: 'vmbr0',
        mac: 'BC:24:11:0A:0B:0C',
        ipv4: '192.0.2.11/24',
        ipv6: '',
        vlan: 20,
      },
    ]);
  });

  it('tells devices and hides the values of the environment', () => {
    const document = containerDocument(
      guest(`${fixture('pve-container-6.1/105.conf')}lxc.environment: TOKEN=hunter2\n`),
      context,
    );
    expect(document.devices).toEqual([
      { key: 'dev0', path: '/dev/dri/renderD128', gid: 104, mode: '0660', pending: '' },
    ]);
    expect(document.entrypoint).toBe('/app/mediasrv --datadir /config --cachedir /cache');
    expect(document.mountPoints.at(-1)).toMatchObject({
      volume: '/tank/media',
      target: '/media',
      readOnly: true,
      backup: false,
    });
    expect(document.config['env']).toMatch(/^PATH=hmac:[0-9a-f]{16}\nLANG=hmac:/);
    expect(document.config['lxc.environment']).toMatch(/^TOKEN=hmac:/);
    expect(JSON.stringify(Object.values(document.config))).not.toMatch(/quiet|hunter2/);
  });

  it('keeps repeated raw keys, the lock and the template mark', () => {
    const legacy = containerDocument(guest(fixture('pve-container-6.1/110.conf')), context);
    expect(legacy.lock).toBe('backup');
    expect(legacy.config['lxc.idmap']?.split('\n')).toHaveLength(6);
    expect(containerDocument(guest(fixture('pve-container-6.1/9000.conf')), context).template).toBe(true);
  });

  it('has its image when the agent recorded one, and a name even for a broken file', () => {
    const ours = containerDocument(guest(`lxc.environment.hooks: PXMGR_GUEST=${UID}\n`), context);
    expect(ours).toMatchObject({
      guestUid: UID,
      imageReference: 'host/app:1',
      imageDigest: 'sha256:1',
      name: 'CT101',
      memoryBytes: GIB / 2n,
    });
  });

  it('tells the default that comes back with the next start', () => {
    const document = containerDocument(guest('memory: 256\n\n[pve:pending]\ncores: 4\ndelete: memory\n'), context);
    expect(document).toMatchObject({ pendingMemoryBytes: GIB / 2n, pendingCores: 4 });
  });

  it.each(['memory', 'swap', 'cores'])('is there although somebody wrote no number for %s', (key) => {
    for (const value of ['much', '-1', '1.5', '99999999999']) {
      const config = `${key}: ${value}\ndev0: /dev/null,gid=${value}\nnet0: name=eth0,tag=${value}\n[old]\nsnaptime: ${value}\n`;
      const document = containerDocument(guest(config), context);
      expect(() => ContainerDocument.encode(document).finish(), value).not.toThrow();
      expect(document).toMatchObject({ cores: 0, memoryBytes: GIB / 2n, swapBytes: GIB / 2n });
    }
  });

  it('has the same bytes whatever the order of the file', () => {
    const [a, b] = ['arch: amd64\ncores: 1\n', 'cores: 1\narch: amd64\n'].map((text) =>
      JSON.stringify(Object.entries(containerDocument(guest(text), context).config)),
    );
    expect(a).toBe(b);
  });

  it.each([
    ['8G', 8n * GIB],
    ['102M', 102n * 1024n ** 2n],
    ['10486K', 10486n * 1024n],
    ['0T', 0n],
    ['4096', 4096n],
    ['1.5G', (3n * GIB) / 2n],
    ['', 0n],
    ['999999999999999999T', 0n],
  ])('size %s', (text, bytes) => {
    expect(parseStoredSize(text)).toBe(bytes);
  });
});

describe('vmDocument', () => {
  it('tells the basics and hides the password', () => {
    const config =
      'name: web\nmemory: 4096\ncores: 2\nsockets: 2\nonboot: 1\ntags: b;a\ncipassword: $5$secret\nhostpci0: 0000:01:00.0\n';
    const document = vmDocument(guest(config, { kind: 'vm', vmid: 200, isRunning: true }), context.mask);
    expect(document).toMatchObject({
      vmid: 200,
      name: 'web',
      status: 'running',
      cores: 4,
      memoryBytes: 4n * GIB,
      onBoot: true,
      tags: ['a', 'b'],
    });
    expect(document.config['cipassword']).toMatch(/^hmac:/);
  });

  it('tells the sizes that wait for a restart', () => {
    const config = 'memory: 4096\ncores: 2\nsockets: 2\n\n[PENDING]\nmemory: current=8192\nsockets: 4\n';
    const document = vmDocument(guest(config, { kind: 'vm', vmid: 200, isRunning: true }), context.mask);
    const sizes = { cores: 4, memoryBytes: 4n * GIB, pendingCores: 8, pendingMemoryBytes: 8n * GIB };
    expect(document).toMatchObject(sizes);
  });

  it.each(['many', '99999999', '1.5'])('is there although it has %s cores', (value) => {
    const config = `cores: ${value}\nsockets: ${value}\nmemory: ${value}G\n`;
    const document = vmDocument(guest(config, { kind: 'vm', vmid: 200 }), context.mask);
    expect(() => VmDocument.encode(document).finish()).not.toThrow();
    expect(document).toMatchObject({ cores: 1, memoryBytes: GIB / 2n });
  });
});

describe('GuestCollectors', () => {
  it('knows who uses a device, by any of its names, by its folder and by its address', async () => {
    const node = new NodeTree()
      .guest(101, 'dev0: /dev/dri/renderD128,gid=104\n')
      .guest(102, 'lxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir\n')
      .guest(103, 'dev0: /dev/ttyUSB0\n')
      .guest(200, 'hostpci0: 01:00,pcie=1\n', 'qemu')
      .guest(201, 'hostpci0: 0000:01:00.1\n', 'qemu');
    const list = new GuestList(node.tree.paths, 'pve1', new RunState(node.tree.paths, new FakeClock()));
    const collectors = new GuestCollectors(list, context);
    await collectors.containers.collect();
    await collectors.vms.collect();
    const address = parsePciAddress('0000:01:00.0');
    if (!address.ok) throw new Error(address.reason);
    const users = () => collectors.usersOf(['/dev/dri/renderD128', '/dev/dri/by-path/x'], address.value);
    expect(users()).toEqual([101, 102, 200]);
    node.destroy(101);
    expect(collectors.one(101)).toEqual([
      { kind: 'container', id: '101', observed: undefined },
      { kind: 'vm', id: '101', observed: undefined },
    ]);
    expect(users()).toEqual([102, 200]);
    node.destroy(200);
    await collectors.containers.collect();
    expect(users()).toEqual([102]);
  });
});

describe('coarse figures', () => {
  it('never exceed the truth and lose little', () => {
    for (const bytes of [0n, 1n, 24576n, 20_480_000n, 709_600_000_000n, 15_994_458_210_304n]) {
      expect(toOnePercent(bytes)).toBeLessThanOrEqual(bytes);
      expect(to16Mib(bytes)).toBeLessThanOrEqual(bytes);
      if (bytes > GIB) expect(Number(bytes - toOnePercent(bytes)) / Number(bytes)).toBeLessThan(0.016);
    }
    expect(toOnePercent(709_600_000_000n)).toBe(toOnePercent(709_700_000_000n));
  });
});
