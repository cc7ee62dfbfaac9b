import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostPaths } from '../host/paths.ts';
import { AUTODEV_HOOK, AUTODEV_SCRIPT, installAutodevHook, needsAutodevHook, requireAutodevHook } from './autodev.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pxmgr-autodev-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

describe('installAutodevHook', () => {
  it('writes the script once, open to the root of guests, and mends what differs', async () => {
    const paths = new HostPaths(root);
    const umask = process.umask(0o077);
    try {
      expect(await installAutodevHook(paths)).toBe(true);
    } finally {
      process.umask(umask);
    }
    expect(statSync(join(root, AUTODEV_HOOK)).mode & 0o777).toBe(0o755);
    expect(statSync(join(root, 'usr/lib/pxmgr')).mode & 0o777).toBe(0o755);
    const before = statSync(join(root, AUTODEV_HOOK)).ino;
    expect(await installAutodevHook(paths)).toBe(false);
    expect(statSync(join(root, AUTODEV_HOOK)).ino).toBe(before);
    writeFileSync(join(root, AUTODEV_HOOK), '#!/bin/sh\n');
    expect(() => {
      requireAutodevHook(paths, 'pve1');
    }).toThrow(expect.objectContaining({ code: 'PXM_HOOK_MISSING' }) as Error);
    await installAutodevHook(paths);
    requireAutodevHook(paths, 'pve1');
    expect(readFileSync(join(root, AUTODEV_HOOK), 'utf8')).toBe(AUTODEV_SCRIPT);
  });
});

it('needsAutodevHook looks at stable names of GPUs only', () => {
  expect(needsAutodevHook([{ path: '/dev/kfd' }, { path: '/dev/serial/by-id/usb-x' }])).toBe(false);
  expect(needsAutodevHook([{ path: '/dev/dri/by-path/pci-0000:01:00.0-card' }])).toBe(true);
});

/** Making device nodes takes root. */
describe.skipIf(process.getuid?.() !== 0)('the script', () => {
  const runner = createRunner({ path: '/usr/sbin:/usr/bin:/sbin:/bin', logger: silentLogger() });
  let guest: string;
  beforeEach(() => {
    // A name that a shell would take apart.
    guest = join(root, "guest $(touch pwned) 'x' *");
    mkdirSync(join(guest, 'dev/dri/by-path'), { recursive: true });
    writeFileSync(join(root, 'autodev'), AUTODEV_SCRIPT);
  });
  const mknod = async (path: string, major: number, minor: number): Promise<void> => {
    const args = [join(guest, 'dev/dri', path), 'c', String(major), String(minor)];
    expect(await runner.run({ file: 'mknod', args, purpose: 'node', timeoutMs: 10_000 })).toMatchObject({
      exitCode: 0,
    });
  };
  const run = async (env: Record<string, string> = { LXC_ROOTFS_MOUNT: guest }): Promise<void> => {
    const args = [join(root, 'autodev')];
    const result = await runner.run({ file: 'sh', args, purpose: 'hook', timeoutMs: 10_000, env, cwd: root });
    expect(result).toMatchObject({ exitCode: 0, stderr: '' });
    expect(existsSync(join(root, 'pwned'))).toBe(false);
  };
  const dri = (): string[] => readdirSync(join(guest, 'dev/dri')).sort();
  const target = (name: string): string => readlinkSync(join(guest, 'dev/dri', name));

  it('links DRM nodes under the numbers the kernel gave them, and others under the first free ones', async () => {
    await mknod('by-path/pci-0000:03:00.0-render', 226, 129);
    await mknod('by-path/pci-0000:03:00.0-card', 226, 1);
    await mknod('by-path/pci-0000:04:00.0-render', 1, 3);
    await mknod('by-path/pci-0000:05:00.0-render', 1, 3);
    await mknod('by-path/pci-0000:05:00.0-other', 1, 3);
    await run();
    expect(dri()).toEqual(['by-path', 'card1', 'renderD128', 'renderD129', 'renderD130']);
    expect(target('renderD129')).toBe('by-path/pci-0000:03:00.0-render');
    expect(target('renderD128')).toBe('by-path/pci-0000:04:00.0-render');
    expect(target('card1')).toBe('by-path/pci-0000:03:00.0-card');
  });

  it('replaces nothing, takes hostile names as they are, and skips what is no device', async () => {
    await mknod('renderD128', 1, 3);
    await mknod('by-path/a-render', 226, 128);
    await mknod('by-path/$(touch pwned)\n; *-render', 226, 131);
    writeFileSync(join(guest, 'dev/dri/by-path/file-render'), '');
    symlinkSync('/dev/null', join(guest, 'dev/dri/by-path/link-render'));
    await run();
    expect(dri()).toEqual(['by-path', 'renderD128', 'renderD131']);
    expect(lstatSync(join(guest, 'dev/dri/renderD128')).isCharacterDevice()).toBe(true);
    expect(target('renderD131')).toBe('by-path/$(touch pwned)\n; *-render');
  });

  it('does nothing without a root, and never follows a link out of it', async () => {
    await run({});
    await run({ LXC_ROOTFS_MOUNT: 'relative' });
    rmSync(join(guest, 'dev/dri'), { recursive: true });
    await run();
    const outside = join(root, 'outside');
    mkdirSync(join(outside, 'by-path'), { recursive: true });
    symlinkSync(outside, join(guest, 'dev/dri'));
    const args = [join(outside, 'by-path/x-render'), 'c', '1', '3'];
    await runner.run({ file: 'mknod', args, purpose: 'node', timeoutMs: 10_000 });
    await run();
    expect(readdirSync(outside)).toEqual(['by-path']);
  });
});
