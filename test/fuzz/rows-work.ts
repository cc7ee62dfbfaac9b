import { setDevicesCommand } from '@pxmgr/agent/guest/change/device-args';
import { deleteSnapshotCommand, rollbackCommand, snapshotCommand } from '@pxmgr/agent/guest/change/snapshot-args';
import { checkCreateRequest, withPlainPaths } from '@pxmgr/agent/guest/create/check-spec';
import { planCreate } from '@pxmgr/agent/guest/create/create-plan';
import { execCommand } from '@pxmgr/agent/guest/exec';
import { haltCommand } from '@pxmgr/agent/guest/halt';
import * as pct from '@pxmgr/agent/guest/pct-args';
import { copyToLayout, formatPlatform, inspectConfig, inspectRaw, parsePlatform } from '@pxmgr/agent/image/skopeo';
import { listDatasetsCommand, listPoolsCommand, listSnapshotsCommand } from '@pxmgr/agent/zfs/zfs-args';
import { buildSpec, CONTAINER_OPTIONS, type ContainerOptions } from '@pxmgr/cli/spec/container-options';
import { Problems } from '@pxmgr/cli/spec/problems';
import {
  formatImageReference,
  hasControlCharacters,
  parseDatasetName,
  parseImageReference,
  parseSnapshotName,
} from '@pxmgr/contract';
import { ContainerSpec, NetworkInterface } from '@pxmgr/contract/common';
import { PlacementConstraints } from '@pxmgr/contract/controller';
import { checkSpec } from '@pxmgr/controller/domain/spec-check';
import fc from 'fast-check';
import { expect } from 'vitest';
import { hostile, near } from './hostile.ts';
import { expectSound, type Row, row, textRow } from './row.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;
const UID = '0123456789abcdef'.repeat(2);
const MIB = 2n ** 20n;

const mostly = <T>(right: T, wrong: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(right) }, { weight: 1, arbitrary: wrong });
const word = (...right: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...right) }, { weight: 1, arbitrary: near(...right) });

const network = fc.record({
  name: word('eth0', 'eth1'),
  bridge: word('vmbr0'),
  ipv4: word('', 'dhcp', '192.0.2.5/24'),
  gateway4: word('', '192.0.2.1'),
  ipv6: word('', 'auto', '2001:db8::1/64'),
  gateway6: word('', '2001:db8::2'),
  mac: word('', '02:00:00:00:00:01'),
  vlan: mostly(0, fc.nat(70_000)),
  mtu: mostly(0, fc.nat(70_000)),
  firewall: fc.boolean(),
});
const mount = fc.record({
  target: word('/data', '/media', '/var/lib/x'),
  source: fc.oneof(
    word('/tank/media', '/srv').map((value) => ({ $case: 'bind' as const, value })),
    word('tank/media').map((value) => ({ $case: 'dataset' as const, value })),
    word('', 'local').map((storage) => ({ $case: 'volume' as const, value: { storage, sizeBytes: 8n * MIB } })),
  ),
  readOnly: fc.boolean(),
  backup: fc.boolean(),
});
/** A wish as it comes over the wire: a caller of the API has passed no command line. */
const spec = fc
  .record({
    name: word('web', 'web.example.org'),
    storage: word('local', 'local-zfs'),
    source: fc.oneof(
      word(`docker.io/library/nginx@${DIGEST}`, 'docker.io/library/nginx:1.27').map((reference) => ({
        $case: 'image' as const,
        value: { reference, digest: '', platform: 'linux/amd64', indexDigest: '', sizeBytes: 0n },
      })),
      word('local:vztmpl/debian-12.tar.zst').map((volumeId) => ({ $case: 'template' as const, value: { volumeId } })),
    ),
    networks: fc.array(network, { maxLength: 2 }),
    mounts: fc.array(mount, { maxLength: 3 }),
    env: fc.array(fc.record({ name: word('A', 'B_C'), value: hostile, remove: fc.boolean() }), { maxLength: 2 }),
    entrypoint: fc.array(word('/bin/sh', '-c', 'echo hi'), { maxLength: 3 }),
    tags: fc.array(word('media', 'x'), { maxLength: 2 }),
    features: fc.array(word('nesting', 'fuse'), { maxLength: 2 }),
    description: mostly('two\nlines', hostile),
    nameservers: fc.array(word('192.0.2.53', '2001:db8::53'), { maxLength: 2 }),
    searchDomain: word('', 'example.org'),
    osType: word('', 'debian', 'unmanaged'),
    cores: mostly(1, fc.nat(10_000)),
    memoryBytes: mostly(512n * MIB, fc.bigInt({ min: 0n, max: 2n ** 50n })),
  })
  .map((part) => ContainerSpec.fromPartial(part as never));

const OPTION =
  /^--(?:hostname|storage|rootfs|mp\d+|memory|swap|cores|net\d+|dev\d+|unprivileged|onboot|features|ostype|arch|tags|description|nameserver|searchdomain|protection|timeout|forceStop|destroy-unreferenced-disks|purge|vmid|force)$/;
const isPctOption = (text: string): boolean => OPTION.test(text);

const SETUP = {
  tmpDir: '/var/lib/pxmgr-agent/tmp',
  policyFile: '/p.json',
  authFile: '/a.json',
  insecureRegistries: ['localhost:5000'],
};
const isSkopeoOption = (text: string): boolean =>
  /^--(?:policy|tmpdir|override-(?:os|arch|variant)|authfile|(?:src-)?tls-verify=(?:true|false)|retry-times|format|remove-signatures|dest-oci-accept-uncompressed-layers|dest-shared-blob-dir|raw|config)$/.test(
    text,
  );
const isZfsOption = (text: string): boolean => /^-(?:Hp|o|t|r|s|d)$/.test(text);

const facts = {
  kind: 'image' as const,
  template: 'local:vztmpl/app.tar',
  accounts: { groups: new Map<string, number>(), uid: 0, gid: 0 },
  home: '/root',
  volumes: [],
  argv: [],
  hasShell: true,
  expectedOsType: undefined,
  osTypeOption: undefined,
  architectureOption: undefined,
  unpackedBytes: 1000,
  sample: [],
  imageDigest: DIGEST,
  imageReference: 'docker.io/library/nginx',
};

function planOf(wish: ContainerSpec): ReturnType<typeof planCreate> {
  const request = { vmid: 101, guestUid: UID, spec: wish };
  checkCreateRequest(request);
  const devices = { entries: [], warnings: [] } as never;
  const datasets = new Map([['tank/media', '/tank/media']]);
  return planCreate({
    request: { ...request, spec: withPlainPaths(wish) },
    facts,
    devices,
    datasets,
    operationTag: 'pxmgr-op',
  });
}

const options = Object.fromEntries(
  Object.entries(CONTAINER_OPTIONS).map(([key, { kind }]) => [
    key,
    kind === 'list' ? [] : kind === 'flag' ? false : undefined,
  ]),
) as unknown as ContainerOptions;
const FREE_TEXT = new Set(['description', 'env', 'entrypoint']);

export const WORK_ROWS: readonly Row[] = [
  textRow('setDevicesCommand', near('/dev/dri/renderD128', '/dev/ttyUSB0'), (path) => {
    const device = { path, gid: 44, mode: '0660' } as never;
    const command = setDevicesCommand(101, { add: new Map([['dev0', device]]), remove: ['dev1'], revert: ['dev2'] });
    expectSound(command, { isOption: (text) => isPctOption(text) || /^--(?:delete|revert)$/.test(text) });
  }),
  row(
    ['createCommand', 'setCommand', 'planCreate', 'networkValue', 'deviceValue'],
    spec,
    (wish) => {
      const plan = planOf(wish);
      for (const command of [plan.create, plan.finish]) {
        if (command === undefined) continue;
        expectSound(command, { isOption: isPctOption, mayHoldLines: (before) => before === '--description' });
        // The verb, the id, and for a create the template; then pairs of option and value, each option once.
        const rest = command.args.slice(command === plan.create ? 3 : 2);
        const names = rest.filter((_word, index) => index % 2 === 0);
        expect(names.filter((name) => !isPctOption(name))).toEqual([]);
        expect(new Set(names).size).toBe(names.length);
      }
      if (plan.entrypoint !== undefined) expect(hasControlCharacters(plan.entrypoint)).toBe(false);
    },
    { runs: 5000 },
  ),
  row(
    'checkSpec',
    spec,
    (wish) => {
      const { problems } = checkSpec(wish, PlacementConstraints.fromPartial({}));
      for (const problem of problems) expect(problem).not.toBe('');
      // What the controller finds right, the agent does not refuse for its words.
      if (problems.length > 0 || wish.storage === '') return;
      expect(() => {
        checkCreateRequest({
          vmid: 101,
          guestUid: UID,
          spec: checkSpec(wish, PlacementConstraints.fromPartial({})).spec,
        });
      }).not.toThrow();
    },
    { runs: 5000 },
  ),
  row(
    'buildSpec',
    fc.tuple(
      near('nginx:1.27', `docker.io/a/b@${DIGEST}`, 'local:vztmpl/debian-12.tar.zst'),
      fc.constantFrom(
        ...Object.entries(CONTAINER_OPTIONS)
          .filter(([key, { kind }]) => kind !== 'flag' && key !== 'envFile')
          .map(([key, { kind }]) => ({ key, kind })),
      ),
      hostile,
    ),
    ([source, { key, kind }, text]) => {
      const problems = new Problems();
      const built = buildSpec(source, { ...options, [key]: kind === 'list' ? [text] : text }, problems);
      if (problems.size > 0) return;
      const words = JSON.stringify(built, (name, value: unknown) =>
        typeof value === 'bigint' ? value.toString() : FREE_TEXT.has(name) ? undefined : value,
      );
      expect(words).not.toMatch(/\\u00|\\n|\\r/);
    },
  ),
  row(
    [
      'startCommand',
      'stopCommand',
      'shutdownCommand',
      'haltCommand',
      'destroyCommand',
      'undoCreateCommand',
      'unlockCommand',
      'listVolumesCommand',
    ],
    fc.tuple(fc.integer({ min: 100, max: 999_999_999 }), fc.nat(10_000), fc.boolean()),
    ([vmid, seconds, force]) => {
      const commands = [
        pct.startCommand(vmid, 1000),
        pct.stopCommand(vmid),
        pct.shutdownCommand(vmid, seconds, force),
        haltCommand({ verb: 'shutdown', vmid, guestUid: '', timeoutSeconds: seconds, force }),
        pct.destroyCommand(vmid),
        pct.undoCreateCommand(vmid),
        pct.unlockCommand(vmid),
        pct.listVolumesCommand('local', vmid),
      ];
      for (const command of commands) expectSound(command, { isOption: isPctOption });
    },
    { runs: 1000 },
  ),
  textRow('freeVolumeCommand', near('local:101/vm-101-disk-0.raw', 'local-zfs:subvol-101-disk-0'), (text) => {
    // Ids come from `pvesm list` and folder listings: a file may be called anything.
    expectSound(pct.freeVolumeCommand(`local:101/${text}`), { isOption: isPctOption });
  }),
  textRow(['snapshotCommand', 'rollbackCommand', 'deleteSnapshotCommand'], near('before-update', 'a_b'), (text) => {
    const name = parseSnapshotName(text);
    if (!name.ok) return;
    for (const command of [
      snapshotCommand(101, name.value, 'a note'),
      rollbackCommand(101, name.value),
      deleteSnapshotCommand(101, name.value, true),
    ])
      expectSound(command, { isOption: isPctOption });
  }),
  row(
    'execCommand',
    fc.tuple(
      fc.array(hostile, { maxLength: 4 }),
      fc.array(fc.record({ name: word('A', 'B'), value: hostile, remove: fc.boolean() }), { maxLength: 3 }),
    ),
    ([argv, env]) => {
      const parts = { files: { require: () => undefined, node: 'pve1' }, runState: { isRunning: () => true } } as never;
      const command = execCommand(parts, {
        vmid: 101,
        argv,
        env: env,
        timeoutSeconds: 0,
        marker: 'op-1',
        actor: '',
      });
      // What the user gave stands behind the "--" that our own options end with, word for word.
      const end = command.args.indexOf('--');
      expect(command.args.slice(end + 1)).toEqual(argv);
      const before = command.args.slice(0, end);
      expect(before.slice(0, 3)).toEqual(['-n', '101', '--clear-env']);
      for (const [index, text] of before.slice(3).entries())
        expect(text).toMatch(index % 2 === 0 ? /^--set-var$/ : /^[A-Za-z_][A-Za-z0-9_]*=/);
    },
  ),
  textRow(
    ['inspectRaw', 'inspectConfig', 'copyToLayout'],
    near('docker.io/library/nginx:1.27', `localhost:5000/a/b@${DIGEST}`),
    (text) => {
      const reference = parseImageReference(text);
      if (!reference.ok) return;
      const name = formatImageReference(reference.value);
      const platform = { os: 'linux', architecture: 'arm', variant: 'v7' };
      const copy = { name, platform, layoutDir: '/l', imageName: 'app', sharedBlobDir: '/b' };
      for (const command of [inspectRaw(SETUP, name), inspectConfig(SETUP, name, platform), copyToLayout(SETUP, copy)])
        expectSound(command, { isOption: isSkopeoOption });
    },
    { runs: 3000 },
  ),
  textRow(['parsePlatform', 'formatPlatform'], near('linux/amd64', 'linux/arm/v7'), (text) => {
    const platform = parsePlatform(text);
    if (platform !== undefined) expect(formatPlatform(platform)).toBe(text);
  }),
  textRow(
    ['listDatasetsCommand', 'listSnapshotsCommand', 'listPoolsCommand'],
    near('tank/media', 'rpool'),
    (text) => {
      const dataset = parseDatasetName(text);
      if (!dataset.ok) return;
      for (const command of [
        listDatasetsCommand(),
        listDatasetsCommand(dataset.value),
        listSnapshotsCommand(dataset.value),
        listPoolsCommand(),
      ])
        expectSound(command, { isOption: isZfsOption });
    },
    { runs: 3000 },
  ),
  row(
    'networkValue',
    network,
    (one) => {
      const value = pct.networkValue(NetworkInterface.fromPartial(one));
      expect(hasControlCharacters(value)).toBe(false);
      for (const item of value.split(','))
        expect(item).toMatch(/^(?:name|bridge|firewall|gw6?|hwaddr|ip6?|mtu|tag|type)=./);
    },
    { runs: 3000 },
  ),
];
