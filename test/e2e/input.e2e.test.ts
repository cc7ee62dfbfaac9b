/** Bad input of every kind, to the real programs: one error with its code, the place and a hint, and nothing changed. */
import { chmodSync, writeFileSync } from 'node:fs';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../deploy/stand/stand-dir.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { errorCode, TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';

let fleet: TestFleet;
let image: string;

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve1', 'pve3'], runtime: 'played' });
  image = await fleet.image('web');
  const args = ['container', 'create', image, '--name', 'web', '--node', 'pve1', '--quiet'];
  await fleet.cli.text(args);
  await waitFor('the archive that was made for it is listed', WAIT_LIMIT_MS, async () =>
    (await fleet.cli.text(['image', 'list', '--templates', '-o', 'name'])) === '' ? undefined : true,
  );
}, TEST_LIMIT_MS);
afterAll(async () => await fleet.stop(), TEST_LIMIT_MS);

/** What must be the same before and after: everything that a refused command could have left. */
async function footprint(): Promise<unknown> {
  const names = async (...words: string[]): Promise<string> => await fleet.cli.text([...words, '-o', 'name']);
  return {
    containers: await names('container', 'list'),
    operations: await names('operation', 'list'),
    reservations: await names('reservation', 'list', '--all'),
    changes: await names('change', 'list', '--kind', 'container'),
    nodes: await names('node', 'list'),
    images: await names('image', 'list', '--templates'),
  };
}

interface Refusal {
  /** IMAGE stands for the reference of a good image. */
  readonly argv: string;
  readonly code: string;
  readonly exit: number;
  /** What the text must name: the place first, then the reason. */
  readonly says: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

function checkText({ code, exit, says }: Omit<Refusal, 'argv'>, result: CommandResult): void {
  expect({ code: errorCode(result), exit: result.exitCode }, result.stderr).toEqual({ code, exit });
  for (const part of says) expect(result.stderr).toContain(part);
  expect(result.stderr.match(/^error\[/gm), result.stderr).toHaveLength(1);
  expect(result.stderr).toContain('hint:');
  expect(result.stderr).not.toMatch(/Resolution note|\bat .+:\d+:\d+\)|undefined|\[object|\{\w+\}/);
  expect(result.stdout).toBe('');
}

const INVALID = { code: 'PXM_INPUT_INVALID', exit: 2 };
const USAGE = { code: 'PXM_USAGE', exit: 2 };
const NOWHERE = { code: 'PXM_PLACEMENT_INFEASIBLE', exit: 7 };

const REFUSALS: readonly Refusal[] = [
  // flags and words
  { argv: 'contianer list', ...USAGE, says: ['contianer', 'did you mean container?'] },
  { argv: 'container list --nod pve1', ...USAGE, says: ['--nod', '--node', 'pxmgr container list --help'] },
  { argv: 'container get', ...USAGE, says: ['CONTAINER'] },
  { argv: 'container destroy web', ...USAGE, says: ['--yes'] },
  { argv: 'node leave pve3', ...USAGE, says: ['--yes'] },
  // names
  { argv: 'container get nobody', code: 'PXM_GUEST_NOT_FOUND', exit: 3, says: ['nobody'] },
  { argv: 'container start 99999', code: 'PXM_GUEST_NOT_FOUND', exit: 3, says: ['99999'] },
  { argv: 'container list --node pve9', code: 'PXM_NODE_NOT_FOUND', exit: 3, says: ['pve9'] },
  { argv: 'run IMAGE --node pve9', code: 'PXM_NODE_NOT_FOUND', exit: 3, says: ['pve9'] },
  { argv: 'image pull IMAGE --node pve9', code: 'PXM_NODE_NOT_FOUND', exit: 3, says: ['pve9'] },
  { argv: 'operation watch op-1', code: 'PXM_OPERATION_NOT_FOUND', exit: 3, says: ['op-1'] },
  { argv: 'place explain ev-1', code: 'PXM_EVALUATION_NOT_FOUND', exit: 3, says: ['ev-1'] },
  { argv: 'change show 999999999', code: 'PXM_CHANGE_NOT_FOUND', exit: 3, says: ['999999999'] },
  { argv: 'run IMAGE --name under_score', ...INVALID, says: ['--name under_score'] },
  // sizes, numbers, times
  { argv: 'run IMAGE --memory 512', ...INVALID, says: ['--memory 512', '512MiB?'] },
  { argv: 'run IMAGE --rootfs many', ...INVALID, says: ['--rootfs many'] },
  { argv: 'run IMAGE --memory 1MiB', ...INVALID, says: ['memory', '16 MiB'] },
  { argv: 'run IMAGE --memory 900TiB', ...NOWHERE, says: ['memory', 'pxmgr place explain ev-'] },
  { argv: 'run IMAGE --cores 1.5', ...INVALID, says: ['--cores 1.5'] },
  { argv: 'container shutdown web --timeout 5', ...INVALID, says: ['--timeout 5', '5s?'] },
  { argv: 'node token create --ttl 3d', ...INVALID, says: ['--ttl 3d', '24h'] },
  // vmids
  { argv: 'run IMAGE --vmid 99', ...INVALID, says: ['--vmid 99', '100'] },
  { argv: 'run IMAGE --node pve1 --vmid VMID', code: 'PXM_VMID_TAKEN', exit: 4, says: ['taken by container'] },
  // references
  { argv: 'run BAD:1', ...INVALID, says: ['image BAD:1', 'lower-case'] },
  { argv: 'run UPPER/case:1', code: 'PXM_IMAGE_REF_INVALID', exit: 2, says: ['UPPER/case:1', 'lowercase'] },
  { argv: 'image inspect REGISTRY/demo/none:1', code: 'PXM_IMAGE_NOT_FOUND', exit: 3, says: ['demo/none:1'] },
  { argv: 'run REGISTRY/demo/none:1', code: 'PXM_IMAGE_NOT_FOUND', exit: 3, says: ['demo/none:1'] },
  { argv: 'run 127.0.0.1:1/x:1', code: 'PXM_REGISTRY_UNREACHABLE', exit: 6, says: ['127.0.0.1:1'] },
  { argv: 'container create local:vztmpl/none.tar.zst', ...NOWHERE, says: ['template'] },
  { argv: 'image pull IMAGE', ...INVALID, says: ['--node'] },
  // mounts, networks, devices, storages
  { argv: 'run IMAGE --mount media', ...INVALID, says: ['--mount media', 'SOURCE:TARGET'] },
  { argv: 'run IMAGE --mount 4GiB:relative', ...INVALID, says: ['--mount 4GiB:relative', 'absolute'] },
  { argv: 'run IMAGE --mount /no/such/folder:/x', ...NOWHERE, says: ['bind'] },
  { argv: 'run IMAGE --mount tank/none:/x', ...NOWHERE, says: ['dataset'] },
  { argv: 'run IMAGE --storage none', ...NOWHERE, says: ['storage'] },
  { argv: 'run IMAGE --gpu voodoo', ...INVALID, says: ['--gpu voodoo', 'nvidia'] },
  { argv: 'run IMAGE --gpu amd', ...NOWHERE, says: ['GPU'] },
  { argv: 'run IMAGE --net ip=dhcp', ...INVALID, says: ['--net ip=dhcp', 'bridge'] },
  { argv: 'run IMAGE --device /etc/passwd', ...INVALID, says: ['--device /etc/passwd'] },
  { argv: 'run IMAGE --env-from /no/such/file', ...INVALID, says: ['--env-from /no/such/file', 'does not exist'] },
  { argv: 'run IMAGE --env A=\u0007', ...INVALID, says: ['--env A', 'control characters'] },
  { argv: 'run IMAGE --privileged', ...INVALID, says: ['--privileged', 'unprivileged'] },
  // state
  { argv: 'container shutdown web', code: 'PXM_GUEST_NOT_RUNNING', exit: 4, says: ['not running'] },
  // controllers that are not there
  {
    argv: 'status',
    code: 'PXM_CONTROLLER_UNREACHABLE',
    exit: 6,
    says: ['/no/socket'],
    env: { PXMGR_CONTROLLER: 'unix:/no/socket' },
  },
  {
    argv: 'status',
    code: 'PXM_CONFIG_INVALID',
    exit: 2,
    says: ['PXMGR_CONTROLLER', 'host:port'],
    env: { PXMGR_CONTROLLER: 'nonsense' },
  },
  {
    argv: 'status --ca /no/ca',
    code: 'PXM_CONFIG_INVALID',
    exit: 2,
    says: ['ca_file: /no/ca does not exist', 'cert_file', 'key_file'],
    env: { PXMGR_CONTROLLER: '127.0.0.1:1' },
  },
];

describe('pxmgr', () => {
  it(
    'refuses each with its place and changes nothing',
    async () => {
      const before = await footprint();
      const [container] = await fleet.containers();
      const words = (text: string): string[] =>
        text
          .replace('IMAGE', image)
          .replace('REGISTRY', fleet.registry.address)
          .replace('VMID', String(container?.vmid))
          .split(' ');
      for (const refusal of REFUSALS) {
        const { argv, env } = refusal;
        const result = await fleet.cli.run(words(argv), env === undefined ? {} : { env });
        // Orders to a guest begin an operation: the agent is the one who knows its state.
        if (refusal.code !== 'PXM_GUEST_NOT_RUNNING') checkText(refusal, result);
        else expect(errorCode(result), argv).toBe(refusal.code);
      }
      const after = (await footprint()) as Record<string, string>;
      const operations = after['operations']?.split('\n').slice(-2).join('\n');
      expect({ ...after, operations }).toEqual(before);
    },
    TEST_LIMIT_MS,
  );

  it('names all that is wrong with one input at once', async () => {
    const argv = 'run BAD --cores x --memory 1 --gpu voodoo --net a=b --mount m --vmid 1 --ready soon --nameserver me';
    const result = await fleet.cli.run(argv.split(' '));
    checkText(
      {
        ...INVALID,
        says: [
          '10 problems',
          'BAD',
          '--cores',
          '--memory',
          '--gpu',
          '--net',
          '--mount',
          '--vmid',
          '--ready',
          '--nameserver',
        ],
      },
      result,
    );
  });
});

describe('a node that is down', () => {
  it(
    'is told apart at once, and nothing is left',
    async () => {
      const before = await footprint();
      await fleet.node('pve3').kill();
      const unreachable = await fleet.cli.run(['run', image, '--node', 'pve3', '--name', 'late']);
      expect(['PXM_NODE_UNREACHABLE', 'PXM_PLACEMENT_INFEASIBLE', 'PXM_NODE_DOWN']).toContain(errorCode(unreachable));
      expect(unreachable.stderr).toContain('pve3');
      await waitFor('pve3 is seen as away', WAIT_LIMIT_MS, async () => {
        const [node] = (await fleet.cli.json<{ name: string; presence: string }[]>(['node', 'list'])).filter(
          ({ name }) => name === 'pve3',
        );
        return node?.presence === 'up' ? undefined : true;
      });
      const pull = await fleet.cli.run(['image', 'pull', image, '--node', 'pve3']);
      checkText({ code: 'PXM_NODE_DOWN', exit: 6, says: ['pve3', 'last heard of'] }, pull);
      // Placement works on the presence as it was last told, which is up to a second old.
      await waitFor('placement knows that pve3 is away', WAIT_LIMIT_MS, async () =>
        (await fleet.cli.run(['place', 'explain', image, '--node', 'pve3'])).exitCode === NOWHERE.exit
          ? true
          : undefined,
      );
      const run = await fleet.cli.run(['run', image, '--node', 'pve3', '--name', 'late']);
      expect({ code: errorCode(run), exit: run.exitCode }, run.stderr).toEqual(NOWHERE);
      expect(run.stderr).toContain('pve3');
      expect(await footprint()).toEqual(before);
    },
    TEST_LIMIT_MS,
  );
});

describe('settings of the programs', () => {
  const BAD: readonly (readonly [
    name: 'pxmgr' | 'pxmgr-agent' | 'pxmgr-controller',
    text: string,
    says: readonly string[],
  ])[] = [
    [
      'pxmgr',
      'outptu: json\ncontroller: here\ncert_file: [1]\n',
      ['x.yaml:1: outptu', 'did you mean output?', 'x.yaml:2', 'x.yaml:3'],
    ],
    [
      'pxmgr-agent',
      'lisen: a\npoll_interval: 5\nlog_level: loud\n',
      ['x.yaml:1: lisen', 'did you mean listen?', 'x.yaml:2', 'x.yaml:3', 'one of'],
    ],
    [
      'pxmgr-controller',
      'vmid_first: 5\njoin_listen: here\nadvertize: []\n',
      ['x.yaml:1: vmid_first', 'at least 100', 'x.yaml:2', 'host:port', 'did you mean advertise?'],
    ],
  ];

  async function check(name: (typeof BAD)[number][0], file: string): Promise<CommandResult> {
    return await fleet.dir.runner.run({
      file: process.execPath,
      args: [bundle(name), 'config', 'check', '--config', file],
      purpose: 'check the settings',
      timeoutMs: WAIT_LIMIT_MS,
      env: { HOME: fleet.dir.root },
    });
  }

  it.each(BAD)('%s names every wrong key with its line', async (name, text, says) => {
    const file = fleet.dir.path('x.yaml');
    writeFileSync(file, text);
    checkText({ code: 'PXM_CONFIG_INVALID', exit: 2, says: ['3 problems', ...says] }, await check(name, file));
    writeFileSync(file, 'a: [\n');
    checkText({ code: 'PXM_CONFIG_INVALID', exit: 2, says: ['x.yaml:'] }, await check(name, file));
  });

  it.each(BAD.map(([name]) => name))('%s says when the file is not there', async (name) => {
    checkText(
      { code: 'PXM_CONFIG_UNREADABLE', exit: 2, says: ['/no/such.yaml', 'does not exist'] },
      await check(name, '/no/such.yaml'),
    );
  });

  it('a key that is no key, and certificates that do not fit, are told before anything is sent', async () => {
    const file = fleet.dir.path('notes.txt');
    writeFileSync(file, 'not a certificate');
    chmodSync(file, 0o600);
    const argv = ['status', '--controller', '127.0.0.1:1', '--ca', file, '--cert', file, '--key', file];
    const says = ['3 problems', 'holds no certificate', 'holds no private key'];
    checkText({ code: 'PXM_CONFIG_INVALID', exit: 2, says }, await fleet.cli.run(argv));
  });
});
