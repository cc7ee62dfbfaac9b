/** The main job with the shipped programs: from an image reference to a running guest, used, and away again. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tarOf } from '@pxmgr/sim/oci/image-writer';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { busyboxTree } from './busybox-tree.ts';
import { type OperationView, TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import { agentScratch, commandsOf, differences, hostTree, mountsBelow, readText, runningTasks } from './traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

const TEMPLATE = 'tiny-debian_12.0_amd64.tar';

let fleet: TestFleet;
let image: string;

beforeAll(async () => {
  const archive = await tarOf(busyboxTree());
  const furnish = async ({ host }: NodeProcess): Promise<void> =>
    await writeFile(host.path(`/var/lib/vz/template/cache/${TEMPLATE}`), archive);
  fleet = await TestFleet.start({ nodes: ['pve1', 'pve2'], runtime: 'here', furnish });
  image = await fleet.image('web');
});
afterAll(async () => {
  await fleet.stop();
});

interface ChangeView {
  readonly kind: string;
  readonly objectId: string;
  readonly author: string;
  readonly action: string;
  readonly operationId: string;
}

interface ReservationView {
  readonly vmid: number;
  readonly state: string;
  readonly endReason: string;
  readonly devices: readonly string[];
}

const isReal = (): boolean => fleet.runtime.kind === 'lxc';
const configOf = (vmid: number): string =>
  readFileSync(fleet.node('pve2').host.path(`/etc/pve/lxc/${vmid}.conf`), 'utf8');
const inside = async (...argv: string[]): Promise<string> =>
  await fleet.cli.text(['container', 'exec', 'web', '--', ...argv]);

describe('a guest from an image', () => {
  let operation: OperationView;

  beforeAll(async () => {
    const wish = ['--gpu', 'amd', '--mount', 'tank/media:/media:ro', '--env', 'GREETING=hello'];
    const net = ['--net', 'bridge=vmbr0,ip=198.51.100.77/24'];
    const id = await fleet.cli.text(['run', image, '--name', 'web', ...wish, ...net, '--detach', '-o', 'name']);
    operation = await fleet.ended(id.trim());
  });

  it('runs on the only node that has card and dataset, with its digest recorded', async () => {
    expect(operation).toMatchObject({ state: 'done', recovery: '' });
    const guest = await fleet.container('web');
    expect(guest).toMatchObject({ node: 'pve2', status: 'running', imageReference: image });
    expect(guest.imageDigest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(operation.results['digest']).toBe(guest.imageDigest);
    expect(guest.vmid).toBe(operation.vmid);
  });

  it('has merged environment, entrypoint, mark, devices with groups and mounts in its configuration', () => {
    const lines = configOf(operation.vmid).split('\n');
    const environment = lines.filter((line) => line.startsWith('env:') || line.startsWith('lxc.environment'));
    for (const variable of ['GREETING=hello', 'APP_NAME=web', 'PORT=8080'])
      expect(environment.join('\n')).toContain(variable);
    expect(lines).toContain('entrypoint: /usr/local/bin/serve');
    expect(lines).toContain(`lxc.environment.hooks: PXMGR_GUEST=${operation.results['guest_uid'] ?? ''}`);
    expect(lines.filter((line) => /^dev\d+: /.test(line))).toEqual([
      expect.stringMatching(/^dev0: .*-render,gid=104,mode=0660$/),
      expect.stringMatching(/^dev1: .*-card,gid=44,mode=0660$/),
      expect.stringMatching(/^dev2: .*\/dev\/kfd,gid=104,mode=0660$/),
    ]);
    expect(lines).toContainEqual(expect.stringMatching(/^mp0: local-zfs:subvol-\d+-disk-1,.*mp=\/data/));
    expect(lines).toContainEqual('mp1: /tank/media,mp=/media,ro=1');
    expect(lines.find((line) => line.startsWith('tags:'))).toBe('tags: pxmgr');
  });

  it('answers on its port, and holds the file of the image in its volume', async () => {
    const disk = fleet.node('pve2').host.path(`/tank/guests/subvol-${operation.vmid}-disk-1`);
    expect(readText(`${disk}/history`)).toMatch(/^created\n/);
    if (!isReal()) return;
    expect(await inside('wget', '-q', '-O', '-', 'http://127.0.0.1:8080/')).toContain('<h1>web 1.0</h1>');
    expect(await inside('cat', '/media/film.txt')).toContain('a film');
    expect(await inside('cat', '/data/history')).toBe('created\nstarted 1.0\n');
    expect(await inside('ls', '/dev/dri/by-path')).toContain('pci-0000:03:00.0-render');
    expect(operation.results['ports']).toContain('8080');
  });

  it('tells the operator as the author of every change of it', async () => {
    const changes = await waitFor('the change to running is stored', WAIT_LIMIT_MS, async () => {
      const rows = await fleet.cli.json<ChangeView[]>(['change', 'list', '--kind', 'container']);
      return rows.length >= 3 ? rows : undefined;
    });
    expect(new Set(changes.map(({ author }) => author))).toEqual(new Set(['operator:root']));
    expect(new Set(changes.map(({ operationId }) => operationId))).toEqual(new Set([operation.id]));
  });

  it('has released its reservation', async () => {
    expect(await fleet.activeReservations()).toEqual([]);
    const all = await fleet.cli.json<ReservationView[]>(['reservation', 'list', '--all']);
    expect(all).toEqual([
      expect.objectContaining({ vmid: operation.vmid, state: 'released', devices: ['0000:03:00.0'] }),
    ]);
  });

  it('passes input, output, errors, exit status and signals of a program inside', async () => {
    if (!isReal()) return;
    const upper = await fleet.cli.run(['container', 'exec', 'web', '-i', '--', 'tr', 'a-z', 'A-Z'], {
      stdin: 'loud\n'.repeat(20_000),
    });
    expect(upper).toMatchObject({ exitCode: 0, stdout: 'LOUD\n'.repeat(20_000), stderr: '' });
    const mixed = await fleet.cli.run([
      'container',
      'exec',
      'web',
      '--',
      'sh',
      '-c',
      'echo out; echo err >&2; exit 42',
    ]);
    expect(mixed).toMatchObject({ exitCode: 42, stdout: 'out\n', stderr: 'err\n' });
    const killed = await fleet.cli.run(['container', 'exec', 'web', '--', 'sh', '-c', 'kill -TERM $$']);
    expect(killed.exitCode).toBe(128 + 15);
    const absent = await fleet.cli.run(['container', 'exec', 'web', '--', 'no-such-program']);
    expect(absent.exitCode).toBe(127);
  });

  it('ends with the program although its own input stays open', async () => {
    if (!isReal()) return;
    const call = fleet.cli.start(['container', 'exec', 'web', '-i', '--', 'true']);
    expect(await call.done).toMatchObject({ exitCode: 0, stderr: '' });
  });

  it('ends the program inside when its caller is interrupted', async () => {
    if (!isReal()) return;
    const call = fleet.cli.start(['container', 'exec', 'web', '--', 'sleep', '4711']);
    const isThere = async (): Promise<true | undefined> =>
      (await inside('ps', '-o', 'args')).includes('sleep 4711') ? true : undefined;
    await waitFor('sleep runs inside', WAIT_LIMIT_MS, isThere);
    if (call.pid !== undefined) process.kill(call.pid, 'SIGINT');
    expect(await call.done).toMatchObject({ exitCode: 130 });
    await waitFor('sleep is gone', WAIT_LIMIT_MS, async () => ((await isThere()) === true ? undefined : true));
  });
});

describe('what was fetched once', () => {
  it('is not fetched again for a second guest of the same image', async () => {
    const node = fleet.node('pve2');
    const before = readText(node.commandLog).length;
    await fleet.cli.text(['container', 'create', image, '--name', 'twin', '--node', 'pve2']);
    const commands = commandsOf(node, before).map(({ argv }) => argv);
    expect(commands.some((argv) => argv[0] === 'pct' && argv[1] === 'create')).toBe(true);
    expect(commands.filter((argv) => argv[0] === 'skopeo' && argv.includes('copy'))).toEqual([]);
    await fleet.cli.text(['container', 'destroy', 'twin', '--yes']);
  });
});

describe('the same order given twice', () => {
  it('is refused by its vmid, and nothing of the second is left', async () => {
    const guest = await fleet.container('web');
    const before = hostTree(fleet.node('pve2'));
    const refusal = await fleet.refused([
      'run',
      image,
      '--name',
      'web',
      '--vmid',
      String(guest.vmid),
      '--node',
      'pve2',
    ]);
    expect(refusal).toMatchObject({ code: 'PXM_VMID_TAKEN', exit: 4 });
    expect(differences(before, hostTree(fleet.node('pve2')))).toEqual([]);
    expect(await fleet.activeReservations()).toEqual([]);
    expect((await fleet.container('web')).guestUid).toBe(guest.guestUid);
  });
});

describe('a dry run', () => {
  it.each([
    ['run', ['run', 'IMAGE', '--name', 'ghost', '--dry-run', '--show-commands']],
    ['destroy', ['container', 'destroy', 'web', '--force', '--dry-run', '--show-commands']],
  ])('of %s changes nothing', async (_what, words) => {
    const args = words.map((word) => (word === 'IMAGE' ? image : word));
    const records = async (): Promise<unknown> => ({
      reservations: await fleet.cli.json(['reservation', 'list', '--all']),
      operations: await fleet.cli.json(['operation', 'list']),
      changes: await fleet.cli.json(['change', 'list', '--kind', 'container']),
    });
    const before = { trees: fleet.nodes.map(hostTree), records: await records() };
    const plan = await fleet.cli.text(args);
    expect(plan).toMatch(/pct (?:create|destroy)/);
    expect(await records()).toEqual(before.records);
    fleet.nodes.forEach((node, index) => {
      expect(differences(before.trees[index] ?? new Map(), hostTree(node))).toEqual([]);
    });
  });
});

describe('shutdown, start, stop and destroy', () => {
  const statusOf = async (): Promise<string> => (await fleet.container('web')).status;

  it('go through, and nothing of the guest stays', async () => {
    const node = fleet.node('pve2');
    const { vmid } = await fleet.container('web');
    expect((await fleet.refused(['container', 'destroy', 'web', '--yes'])).code).toBe('PXM_GUEST_RUNNING');
    await fleet.cli.text(['container', 'shutdown', 'web', '--force']);
    expect(await statusOf()).toBe('stopped');
    await fleet.cli.text(['container', 'start', 'web', '--ready', 'running']);
    expect(await statusOf()).toBe('running');
    await fleet.cli.text(['container', 'stop', 'web']);
    expect(await statusOf()).toBe('stopped');
    await fleet.cli.text(['container', 'destroy', 'web', '--yes']);
    expect(await fleet.containers()).toEqual([]);
    const left = [...hostTree(node).keys()].filter((path) => path.includes(String(vmid)));
    expect(left).toEqual([]);
    expect(mountsBelow(fleet.dir.root)).toEqual([]);
    expect(runningTasks(node)).toEqual([]);
    expect(agentScratch(node)).toEqual([]);
    expect(readText(node.host.path('/tank/media/film.txt'))).toContain('a film');
  });
});

describe('a guest from a template archive', () => {
  it('is made, runs and goes', async () => {
    const node = fleet.node('pve1');
    const before = hostTree(node);
    await fleet.cli.text([
      'container',
      'create',
      `local:vztmpl/${TEMPLATE}`,
      '--name',
      'tiny',
      '--node',
      'pve1',
      '--env',
      'A=b',
    ]);
    expect(await fleet.container('tiny')).toMatchObject({ node: 'pve1', status: 'stopped', imageReference: '' });
    await fleet.cli.text(['container', 'start', 'tiny', '--ready', 'running']);
    if (isReal()) expect(await fleet.cli.text(['container', 'exec', 'tiny', '--', 'cat', '/etc/issue'])).toBe('tiny\n');
    await fleet.cli.text(['container', 'destroy', 'tiny', '--force', '--yes']);
    expect(differences(before, hostTree(node))).toEqual([]);
  });
});
