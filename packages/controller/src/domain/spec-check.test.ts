import { ContainerSpec } from '@pxmgr/contract/common';
import type { PlacementConstraints } from '@pxmgr/contract/controller';
import { describe, expect, it } from 'vitest';
import { isCidr6, isIpv4, isIpv6 } from './address-check.ts';
import { checkSpec } from './spec-check.ts';

type Part = Parameters<typeof ContainerSpec.fromPartial>[0];
const ANY: PlacementConstraints = { node: '', excludeNodes: [], vmid: 0 };
const IMAGE: Part = { name: 'web', source: { $case: 'image', value: { reference: 'nginx' } } };

function problemsOf(part: Part, constraints: Partial<PlacementConstraints> = {}): readonly string[] {
  return checkSpec(ContainerSpec.fromPartial({ ...IMAGE, ...part }), { ...ANY, ...constraints }).problems;
}

describe('checkSpec', () => {
  it('accepts a full spec and gives it one spelling', () => {
    const { spec, problems } = checkSpec(
      ContainerSpec.fromPartial({
        ...IMAGE,
        networks: [
          { name: 'eth0', bridge: 'vmbr0', ipv4: '10.0.0.5/24', gateway4: '10.0.0.1', ipv6: 'fd00::5/64', vlan: 7 },
          { bridge: 'vmbr1', ipv4: 'dhcp', mac: 'bc:24:11:00:00:01' },
        ],
        mounts: [
          { target: '/media//films/', source: { $case: 'bind', value: '/tank//media/' } },
          { target: '/data', source: { $case: 'volume', value: { sizeBytes: 1n } } },
        ],
        gpu: { count: 1, address: '01:00.0' },
        devices: [{ path: '/dev/ttyUSB0', mode: '0660', groups: ['dialout'] }],
        env: [{ name: 'TZ', value: 'Europe/Berlin' }],
        readiness: { kind: 'http', port: 80, path: '/health' },
        tags: ['media'],
        features: ['nesting'],
        nameservers: ['10.0.0.1', 'fd00::1'],
      }),
      ANY,
    );
    expect(problems).toEqual([]);
    expect(spec.source).toMatchObject({ value: { reference: 'docker.io/library/nginx:latest' } });
    expect(spec.mounts[0]).toMatchObject({ target: '/media/films', source: { value: '/tank/media' } });
    expect(spec.networks[1]?.name).toBe('eth1');
    expect(spec.gpu?.address).toBe('0000:01:00.0');
  });

  const cases: readonly [string, Part][] = [
    ['name: ', { name: '' }],
    ['source: ', { source: undefined }],
    ['image: ', { source: { $case: 'image', value: { reference: 'UPPER/Case' } } }],
    ['image.digest: ', { source: { $case: 'image', value: { reference: 'nginx', digest: 'sha256:1' } } }],
    ['image.platform: ', { source: { $case: 'image', value: { reference: 'nginx', platform: 'windows/amd64' } } }],
    ['template: ', { source: { $case: 'template', value: { volumeId: 'local:iso/x.iso' } } }],
    ['template: ', { source: { $case: 'template', value: { volumeId: 'local:vztmpl/../../etc/passwd' } } }],
    ['cores: ', { cores: 9000 }],
    ['memory: ', { memoryBytes: 1n }],
    ['rootfs: ', { rootfsBytes: 2n ** 60n }],
    ['storage: ', { storage: '1' }],
    ['networks[0].bridge: ', { networks: [{ name: 'eth0', bridge: '' }] }],
    ['networks[0].ipv4: ', { networks: [{ bridge: 'vmbr0', ipv4: '10.0.0.300/24' }] }],
    ['networks[0].gateway4: ', { networks: [{ bridge: 'vmbr0', ipv4: 'dhcp', gateway4: '10.0.0.1' }] }],
    ['networks[0].mac: ', { networks: [{ bridge: 'vmbr0', mac: '01:00:00:00:00:01' }] }],
    ['networks[0].vlan: ', { networks: [{ bridge: 'vmbr0', vlan: 4095 }] }],
    ['networks[0].mtu: ', { networks: [{ bridge: 'vmbr0', mtu: 10 }] }],
    [
      'networks[1].name: ',
      {
        networks: [
          { name: 'eth0', bridge: 'vmbr0' },
          { name: 'eth0', bridge: 'vmbr0' },
        ],
      },
    ],
    ['mounts[0].target: ', { mounts: [{ target: '/', source: { $case: 'bind', value: '/tank' } }] }],
    ['mounts[0].target: ', { mounts: [{ target: '/proc/x', source: { $case: 'bind', value: '/tank' } }] }],
    ['mounts[0].target: ', { mounts: [{ target: '/a,ro=0', source: { $case: 'bind', value: '/tank' } }] }],
    ['mounts[0].source: ', { mounts: [{ target: '/a', source: { $case: 'bind', value: '/' } }] }],
    ['mounts[0].source: ', { mounts: [{ target: '/a', source: { $case: 'bind', value: '/tank/../etc' } }] }],
    ['mounts[0].source: ', { mounts: [{ target: '/a', source: { $case: 'dataset', value: '/tank' } }] }],
    ['mounts[0].source: ', { mounts: [{ target: '/a' }] }],
    [
      'mounts[1].target: ',
      { mounts: ['/a', '/a/'].map((target) => ({ target, source: { $case: 'bind' as const, value: '/tank' } })) },
    ],
    ['gpu.vendor: ', { gpu: { vendor: 'matrox' } }],
    ['gpu.count: ', { gpu: { count: 2, address: '01:00.0' } }],
    ['devices[0].path: ', { devices: [{ path: '/etc/shadow' }] }],
    ['devices[0].mode: ', { devices: [{ path: '/dev/kfd', mode: 'rw' }] }],
    ['env[0]: ', { env: [{ name: 'A=B', value: '' }] }],
    ['env[0]: ', { env: [{ name: 'A', value: 'x\nlxc.hook: evil' }] }],
    ['env[1]: ', { env: [{ name: 'A' }, { name: 'A' }] }],
    ['entrypoint: ', { entrypoint: ['sh', '-c', 'a\nb'] }],
    ['tags[0]: ', { tags: ['a;b'] }],
    ['features[0]: ', { features: ['mount=nfs'] }],
    [
      'features: ',
      {
        source: { $case: 'template', value: { volumeId: 'local:vztmpl/a.tar.zst' } },
        features: ['keyctl'],
        privileged: true,
      },
    ],
    ['privileged: ', { privileged: true }],
    ['os_type: ', { osType: 'windows' }],
    ['description: ', { description: 'a\u001b[31m' }],
    ['nameservers[0]: ', { nameservers: ['dns.example'] }],
    ['search_domain: ', { searchDomain: 'not a domain' }],
    ['readiness.kind: ', { readiness: { kind: 'maybe' } }],
    ['readiness.port: ', { readiness: { kind: 'tcp' } }],
    ['readiness.path: ', { readiness: { kind: 'http', port: 80, path: 'health' } }],
  ];
  it.each(cases)('%s refuses (case %#)', (field, part) => {
    const problems = problemsOf(part);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.startsWith(field)).toBe(true);
  });

  it('checks the constraints with it', () => {
    expect(problemsOf({}, { vmid: 99 })).toHaveLength(1);
    expect(problemsOf({}, { node: 'pve1', excludeNodes: ['pve1'] })).toHaveLength(1);
  });

  it('tells all problems at once', () => {
    expect(problemsOf({ name: '-', memoryBytes: 1n, tags: ['!'] }, { vmid: 5 })).toHaveLength(4);
  });
});

describe('addresses', () => {
  it.each(['0.0.0.0', '255.255.255.255'])('%s is IPv4', (text) => expect(isIpv4(text)).toBe(true));
  it.each(['1.2.3', '1.2.3.256', '01.2.3.4', '1.2.3.4.5', ''])('"%s" is not IPv4', (text) =>
    expect(isIpv4(text)).toBe(false),
  );
  it.each(['::', '::1', 'fd00::', '1:2:3:4:5:6:7:8'])('%s is IPv6', (text) => expect(isIpv6(text)).toBe(true));
  it.each(['1:2', ':::', '1::2::3', '12345::', '1:2:3:4:5:6:7:8:9', ''])('"%s" is not IPv6', (text) =>
    expect(isIpv6(text)).toBe(false),
  );
  it('needs a prefix in range', () => {
    expect([isCidr6('fd00::5/64'), isCidr6('fd00::5/129'), isCidr6('fd00::5')]).toEqual([true, false, false]);
  });
});
