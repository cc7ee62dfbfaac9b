import type { CommandResult } from '@pxmgr/kit/exec/command';
import { describe, expect, it } from 'vitest';
import { classifyText, commandError } from './stderr-map.ts';

const CONTEXT = {
  vmid: '101',
  node: 'pve1',
  storage: 'local',
  lock: '',
  reference: 'r/app:1',
  registry: 'r',
  platform: 'linux/amd64',
  operation: 'op-1',
  seconds: '30',
  digest: '',
};

describe('classifyText', () => {
  it.each([
    ["unable to create CT 101 - CT 101 already exists on node 'pve2'", 'PXM_VMID_TAKEN', { owner: 'pve2' }],
    ["Configuration file 'nodes/pve1/lxc/101.conf' does not exist", 'PXM_GUEST_NOT_FOUND', { guest: '101' }],
    ['CT is locked (snapshot-delete)', 'PXM_GUEST_LOCKED', { lock: 'snapshot-delete' }],
    [
      "trying to acquire lock...\ncan't lock file '/run/lock/lxc/pve-config-101.lock' - got timeout",
      'PXM_LOCK_TIMEOUT',
      {},
    ],
    ["cfs-lock 'storage-nas' error: got lock request timeout", 'PXM_LOCK_TIMEOUT', { lock: 'storage-nas' }],
    ['cluster not ready - no quorum?', 'PXM_NO_QUORUM', {}],
    ['CT 101 already running', 'PXM_GUEST_RUNNING', {}],
    ['CT 101 not running', 'PXM_GUEST_NOT_RUNNING', {}],
    ["container '101' not running!", 'PXM_GUEST_NOT_RUNNING', {}],
    ["can't remove CT 101 - protection mode enabled", 'PXM_GUEST_PROTECTED', {}],
    ["storage 'nas' is not available on node 'pve1'", 'PXM_STORAGE_DISABLED', { storage: 'nas' }],
    ["cannot create 'rpool/data/x': out of space", 'PXM_DISK_FULL', {}],
    ['Device /dev/dri/renderD128 does not exist', 'PXM_DEVICE_NOT_FOUND', { device: '/dev/dri/renderD128' }],
    ['/dev/null1 is not a device', 'PXM_DEVICE_NOT_FOUND', { device: '/dev/null1' }],
    ["startup for container '101' failed", 'PXM_START_FAILED', {}],
    ['unable to get PID for CT 101 (not running?)', 'PXM_START_FAILED', { vmid: '101' }],
    ['container did not stop', 'PXM_SHUTDOWN_TIMEOUT', {}],
    ['detected modified configuration - file changed by other user? Try again.', 'PXM_CONFIG_DIGEST_CHANGED', {}],
  ])('pct: %s', (text, code, fields) => {
    const error = classifyText(text, CONTEXT, 'pct');
    expect(error).toMatchObject({ code, fields });
    expect(error?.message).not.toMatch(/\{\w+\}/);
  });

  it.each([
    ['initializing source docker://r/app:1: reading manifest 1 in r/app: manifest unknown', 'PXM_IMAGE_NOT_FOUND'],
    [
      'pinging container registry localhost:1: Get "https://localhost:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
      'PXM_REGISTRY_UNREACHABLE',
    ],
    [
      'Error parsing image name "docker://UPPER/x:1": invalid reference format: repository name must be lowercase',
      'PXM_IMAGE_REF_INVALID',
    ],
    [
      `writing blob: happened during read: Digest did not match, expected sha256:${'a'.repeat(64)}, got sha256:${'b'.repeat(64)}`,
      'PXM_IMAGE_REJECTED',
    ],
    [
      'Error reading OCI-formatted configuration data: unsupported image-specific operation on artifact with type "application/vnd.docker.container.image.v1+json"',
      'PXM_IMAGE_REJECTED',
    ],
    ['http: server gave HTTP response to HTTPS client', 'PXM_REGISTRY_UNREACHABLE'],
    ['tls: failed to verify certificate: x509: certificate signed by unknown authority', 'PXM_REGISTRY_UNREACHABLE'],
    ['reading manifest 1 in r/app: unauthorized: authentication required', 'PXM_IMAGE_PULL_DENIED'],
    ['toomanyrequests: You have reached your pull rate limit', 'PXM_REGISTRY_LIMIT'],
    ['Source image rejected: Running image oci:lay:multi is rejected by policy.', 'PXM_IMAGE_POLICY'],
    ['no image found in image index for architecture riscv64, variant "", OS linux', 'PXM_IMAGE_PLATFORM_MISSING'],
    ['writing blob: write /x/oci-put-blob1: No space left on device', 'PXM_DISK_FULL'],
  ])('skopeo: %s', (text, code) => {
    const error = classifyText(text, CONTEXT, 'skopeo');
    expect(error?.code).toBe(code);
    expect(error?.message).not.toMatch(/\{\w+\}/);
  });

  it.each([
    [{ storage: 'local-zfs', node: 'pve1' }, 'no space left for storage local-zfs on pve1'],
    [{ storage: 'local', path: '/var/lib/pxmgr-agent/images' }, 'no space left for /var/lib/pxmgr-agent/images'],
    [{ storage: '' }, 'no space left for the storage'],
  ])('says which file system is full, as far as the caller knows: %j', (context, message) => {
    const text = 'tar: ./usr/lib/x: Cannot write: No space left on device';
    expect(classifyText(text, context, 'pct')?.message.split(':')[0]).toBe(message);
  });

  it('never takes the words of one tool for those of another', () => {
    expect(classifyText('connection refused', CONTEXT, 'pct')).toBeUndefined();
    expect(classifyText('CT 101 not running', CONTEXT, 'skopeo')).toBeUndefined();
  });
});

describe('commandError', () => {
  const result = (change: Partial<CommandResult>): CommandResult => ({
    command: { file: 'pct', args: ['start', '101'], purpose: 'start', timeoutMs: 1000 },
    argv: ['pct', 'start', '101'],
    exitCode: 255,
    signal: null,
    stdout: '',
    stderr: '',
    truncated: false,
    ms: 1,
    timedOut: false,
    cancelled: false,
    ...change,
  });

  it('says a text once that task log and standard error both have', () => {
    const text = "startup for container '101' failed";
    const message = classifyText(`${text}\n${text}`, CONTEXT, 'pct')?.message ?? '';
    expect(message.split(text)).toHaveLength(2);
  });

  it('keeps unknown text as it is, and puts time-out and cancellation first', () => {
    expect(commandError(result({ stderr: 'never seen\n' }), CONTEXT)).toMatchObject({
      code: 'PXM_COMMAND_FAILED',
      message: expect.stringContaining('never seen') as unknown,
    });
    expect(commandError(result({ timedOut: true, stderr: 'CT 101 not running' }), CONTEXT).code).toBe(
      'PXM_COMMAND_TIMEOUT',
    );
    expect(commandError(result({ cancelled: true }), CONTEXT).code).toBe('PXM_CANCELLED');
  });
});
