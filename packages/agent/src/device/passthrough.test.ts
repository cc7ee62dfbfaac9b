import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsePciAddress } from '@pxmgr/contract';
import type { Device } from '@pxmgr/contract/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostPaths } from '../host/paths.ts';
import { chooseAccess } from './gid.ts';
import type { Gpu } from './gpu.ts';
import { gpuDevices, planDevices } from './passthrough.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pxmgr-device-'));
  mkdirSync(join(root, 'dev/dri/by-path'), { recursive: true });
  for (const name of ['dri/renderD128', 'dri/card0', 'dri/by-path/pci-0000:01:00.0-render', 'kfd', 'ttyUSB0']) {
    writeFileSync(join(root, 'dev', name), '');
  }
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const ROOT = {
  groups: new Map([
    ['render', 103],
    ['video', 27],
  ]),
  uid: 0,
  gid: 0,
};

function wish(path: string, change: Partial<Device> = {}): Device {
  return { path, deviceId: '', groups: [], mode: '', ...change };
}

describe('chooseAccess', () => {
  const device = { groups: ['render', 'video'], mode: '', path: '/dev/x' };
  it.each([
    ['the first group that the guest has', ROOT, { gid: 103, mode: '0660' }],
    ['the second when the first is absent', { ...ROOT, groups: new Map([['video', 27]]) }, { gid: 27, mode: '0660' }],
    ['root without any group', { groups: undefined, uid: 0, gid: 0 }, { gid: 0, mode: '0660' }],
    ["the program's own group", { groups: new Map(), uid: 1000, gid: 1001 }, { gid: 1001, mode: '0660' }],
  ])('takes %s', (_name, guest, access) => {
    expect(chooseAccess(device, guest)).toEqual(access);
  });

  it('opens the device to all with a warning when nothing else is left', () => {
    expect(chooseAccess(device, { groups: undefined, uid: 1000, gid: 0 })).toMatchObject({
      gid: 0,
      mode: '0666',
      warning: expect.any(String) as unknown,
    });
  });

  it('refuses a gid beyond the id map and a malformed mode', () => {
    const far = { groups: new Map([['render', 65_536]]), uid: 0, gid: 0 };
    expect(() => chooseAccess(device, far)).toThrow(/beyond the id map/);
    expect(() => chooseAccess({ ...device, mode: '660' }, ROOT)).toThrow(/four octal digits/);
  });
});

describe('planDevices', () => {
  it('gives cards to video, everything else to render, and each path once', () => {
    const paths = new HostPaths(root);
    const stable = '/dev/dri/by-path/pci-0000:01:00.0-render';
    const plan = planDevices(
      [wish(stable), wish('/dev/dri/card0'), wish(stable), wish('/dev/ttyUSB0', { groups: ['dialout'], mode: '0666' })],
      ROOT,
      paths,
    );
    expect(plan.entries).toEqual([
      { path: stable, gid: 103, mode: '0660' },
      { path: '/dev/dri/card0', gid: 27, mode: '0660' },
      { path: '/dev/ttyUSB0', gid: 0, mode: '0666' },
    ]);
  });

  it('refuses what is no device of this node', () => {
    const paths = new HostPaths(root);
    expect(() => planDevices([wish('/dev/dri/renderD129')], ROOT, paths)).toThrow(
      expect.objectContaining({ code: 'PXM_DEVICE_NOT_FOUND' }) as Error,
    );
    expect(() => planDevices([wish('/etc/passwd'), wish('/dev/a,b')], ROOT, paths)).toThrow(/has 2 problem/);
  });
});

it('gpuDevices adds the compute interface for AMD, once', () => {
  const address = parsePciAddress('0000:01:00.0');
  if (!address.ok) throw new Error(address.reason);
  const gpu: Gpu = {
    address: address.value,
    vendor: 'amd',
    model: '',
    driver: 'amdgpu',
    vramBytes: 0n,
    devicePaths: ['/dev/dri/renderD128', '/dev/dri/card0'],
    aliases: [],
    renderNode: '/dev/dri/renderD128',
    iommuGroup: 0,
    pciId: '',
  };
  const paths = new HostPaths(root);
  expect(gpuDevices(gpu, paths).map((device) => device.path)).toEqual([
    '/dev/dri/renderD128',
    '/dev/dri/card0',
    '/dev/kfd',
  ]);
  expect(gpuDevices({ ...gpu, devicePaths: ['/dev/kfd'] }, paths)).toHaveLength(1);
  expect(gpuDevices({ ...gpu, vendor: 'intel' }, paths)).toHaveLength(2);
});
