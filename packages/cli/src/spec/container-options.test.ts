import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContainerSpec } from '@pxmgr/contract/common';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import { describe, expect, it } from 'vitest';
import { buildConstraints, buildSpec, type ContainerOptions, defaultName } from './container-options.ts';
import { Problems } from './problems.ts';

const NONE: ContainerOptions = {
  name: undefined,
  cores: undefined,
  memory: undefined,
  swap: undefined,
  rootfs: undefined,
  storage: undefined,
  net: [],
  mount: [],
  gpu: undefined,
  device: [],
  env: [],
  envFile: [],
  entrypoint: [],
  privileged: false,
  onBoot: false,
  protection: false,
  tag: [],
  description: undefined,
  feature: [],
  nameserver: [],
  searchDomain: undefined,
  osType: undefined,
  volumeSize: undefined,
  platform: undefined,
  ready: undefined,
  readyTimeout: undefined,
  node: undefined,
  excludeNode: [],
  vmid: undefined,
};

function build(source: string, options: Partial<ContainerOptions> = {}): ContainerSpec {
  const problems = new Problems();
  const spec = buildSpec(source, { ...NONE, ...options }, problems);
  problems.refuse();
  return spec;
}

function problemsOf(source: string, options: Partial<ContainerOptions>): string[] {
  try {
    build(source, options);
  } catch (error) {
    if (isPxmError(error, 'PXM_INPUT_INVALID')) return error.fields['problems']?.split('\n') ?? [];
    throw error;
  }
  return [];
}

describe('a container spec', () => {
  it('has sensible defaults', () => {
    expect(build('nginx')).toMatchObject({
      name: 'nginx',
      cores: 1,
      memoryBytes: 512n * 2n ** 20n,
      rootfsBytes: 4n * 2n ** 30n,
      privileged: false,
      source: { $case: 'image', value: { reference: 'docker.io/library/nginx:latest' } },
    });
    expect(build('local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst')).toMatchObject({
      name: 'debian-12-standard',
      source: { $case: 'template' },
    });
  });

  it('takes mounts, GPU, network, environment and readiness', () => {
    const spec = build('web:1', {
      mount: ['/tank/media:/media:ro', 'tank/data:/data', '8GiB:/var/lib/x'],
      gpu: 'amd,vram=8GiB,exclusive',
      net: ['bridge=vmbr0,ip=192.0.2.5/24,gw=192.0.2.1,vlan=20'],
      env: ['A=1', 'B='],
      ready: 'http:8080/health',
      readyTimeout: '2m',
    });
    expect(spec.mounts).toMatchObject([
      { target: '/media', source: { $case: 'bind', value: '/tank/media' }, readOnly: true },
      { target: '/data', source: { $case: 'dataset', value: 'tank/data' } },
      { target: '/var/lib/x', source: { $case: 'volume', value: { sizeBytes: 8n * 2n ** 30n } }, backup: true },
    ]);
    expect(spec.gpu).toMatchObject({ count: 1, vendor: 'amd', vramBytes: 8n * 2n ** 30n, exclusive: true });
    expect(spec.networks).toMatchObject([
      { name: 'eth0', bridge: 'vmbr0', ipv4: '192.0.2.5/24', gateway4: '192.0.2.1', vlan: 20 },
    ]);
    expect(spec.env).toMatchObject([
      { name: 'A', value: '1' },
      { name: 'B', value: '' },
    ]);
    expect(spec.readiness).toMatchObject({ kind: 'http', port: 8080, path: '/health', timeoutSeconds: 120 });
  });

  it('reads variables from a file, later ones win, NAME- removes', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'pxmgr-env-')), 'env');
    writeFileSync(file, '# comment\nA=1\n\nB=two words\r\n');
    const spec = build('web', { envFile: [file], env: ['A=2', 'PATH-'] });
    expect(spec.env).toMatchObject([
      { name: 'A', value: '2' },
      { name: 'B', value: 'two words' },
      { name: 'PATH', remove: true },
    ]);
  });

  it('names all problems of one input at once', () => {
    const problems = problemsOf('Bad//ref', {
      name: 'a_b',
      memory: '512',
      cores: '0',
      mount: ['x', '/a:b', '/a:/b:rx', '/a:/'],
      gpu: 'voodoo',
      net: ['ip=1.2.3.4'],
      env: ['1A=x', 'OK=a\nb'],
      device: ['/etc/passwd'],
      ready: 'tcp:99999',
      tag: ['a:b'],
      feature: ['magic'],
      storage: '1',
      platform: 'windows/amd64',
      privileged: true,
    });
    for (const part of [
      'image Bad//ref',
      '--name a_b',
      '--memory 512',
      '--cores 0',
      '--mount x',
      '--mount /a:b',
      '--mount /a:/b:rx',
      '--mount /a:/',
      '--gpu voodoo',
      '--net ip=1.2.3.4',
      '--env 1A',
      '--env OK',
      '--device /etc/passwd',
      '--ready tcp:99999',
      '--tag a:b',
      '--feature magic',
      '--storage 1',
      '--platform windows/amd64',
      '--privileged',
    ])
      expect(
        problems.some((problem) => problem.startsWith(part)),
        `${part} in ${problems.join(' | ')}`,
      ).toBe(true);
  });

  it.each([
    ['bridge=vmbr0,ip=10.0.0.5', /prefix length/],
    ['bridge=vmbr0,ip=10.0.0.5/33', /prefix length/],
    ['bridge=vmbr0,mac=01:00:00:00:00:00', /unicast/],
    ['bridge=vmbr0,vlan=5000', /4094/],
    ['ip=dhcp', /bridge= is missing/],
    ['bridge=vmbr0,__proto__=1', /is not one of/],
  ])('network %s is refused', (net, reason) => {
    expect(problemsOf('web', { net: [net] }).join()).toMatch(reason);
  });

  it('asks for a vmid in range', () => {
    const problems = new Problems();
    expect(buildConstraints({ ...NONE, vmid: '101', node: 'pve1' }, problems)).toMatchObject({
      vmid: 101,
      node: 'pve1',
    });
    buildConstraints({ ...NONE, vmid: '99' }, problems);
    expect(problems.size).toBe(1);
  });

  it.each([
    ['docker.io/library/nginx:1.27', 'nginx'],
    ['ghcr.io/a/My_App@sha256:00', 'my-app'],
    ['x'.repeat(100), 'x'.repeat(63)],
  ])('%s is called %s', (source, name) => {
    expect(defaultName(source)).toBe(name);
  });
});
