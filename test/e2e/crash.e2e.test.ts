/** Agent, controller and tools killed with SIGKILL in the middle of work: afterwards a guest is whole or gone. */
import { randomBytes } from 'node:crypto';
import { type FaultRule, faultsOf, setFaults } from '@pxmgr/sim/call/fault';
import { demoSpec } from '@pxmgr/sim/image.fixture';
import { writeOciArchive } from '@pxmgr/sim/oci/image-writer';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { lasting, waitFor } from '../../deploy/stand/wait.ts';
import { Link } from '../support/link.ts';
import { type OperationView, TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import { agentScratch, differences, guestLocks, hostTree, mountsBelow, processesOf, runningTasks } from './traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

/** To the registry. */
const line = new Link();
let fleet: TestFleet;
let node: NodeProcess;
let image: string;
let untouched: Map<string, string>;

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'here', registryNetwork: line });
  node = fleet.node('pve2');
  image = await fleet.image('web');
  // Fetched beforehand, so that most tests are about the guest alone; the locks of its id exist from here on.
  await fleet.cli.text(['container', 'create', image, '--name', 'first']);
  await fleet.cli.text(['container', 'destroy', 'first', '--yes']);
});
afterAll(async () => {
  await fleet.stop();
  await line.close();
});
beforeEach(() => {
  untouched = hostTree(node);
});
afterEach(async () => {
  setFaults(node.host, []);
  // After a failed test, so that the next one begins afresh.
  for (const { vmid } of await fleet.containers())
    await fleet.cli.run(['container', 'destroy', String(vmid), '--force', '--yes']);
});

const MOUNT = ['--mount', 'tank/media:/media'];

/** Everything that a crash could leave; the guest itself is gone when this is asked. */
async function leftovers(): Promise<string[]> {
  return [
    ...differences(untouched, hostTree(node)),
    ...mountsBelow(node.host.root).map((line) => `mount: ${line}`),
    ...runningTasks(node).map((line) => `task: ${line}`),
    ...guestLocks(node).map((line) => `lock: ${line}`),
    ...agentScratch(node).map((path) => `scratch: ${path}`),
    ...processesOf(`${node.host.root}/bin/`).map(({ argv }) => `process: ${argv.join(' ')}`),
    ...(await fleet.activeReservations()).map((one) => `reservation: ${JSON.stringify(one)}`),
  ];
}

/** Done: the guest is whole and can be removed. Failed: it is gone and the text says why. Nothing else stays. */
async function wholeOrGone(operation: OperationView, status: 'running' | 'stopped'): Promise<void> {
  if (operation.state === 'done') {
    expect(await fleet.containers()).toEqual([
      expect.objectContaining({ vmid: operation.vmid, status, imageReference: image }),
    ]);
    const guest = await fleet.container(String(operation.vmid));
    expect(guest.config).toMatchObject({ entrypoint: '/usr/local/bin/serve', mp0: expect.any(String) as string });
    expect(guest.config['lock']).toBeUndefined();
    await fleet.cli.text(['container', 'destroy', String(operation.vmid), '--force', '--yes']);
  } else {
    expect(operation.state).toBe('failed');
    expect(operation.problem?.code).toMatch(/^PXM_/);
    expect(operation.problem?.message).toMatch(/\w+ \w+/);
    // What was taken back is told by the host, a moment later.
    await waitFor('no guest is known', WAIT_LIMIT_MS, async () =>
      (await fleet.containers()).length === 0 ? true : undefined,
    );
  }
  await nothingIsLeft(`after ${JSON.stringify(operation)}`);
}

async function nothingIsLeft(when: string): Promise<void> {
  expect(await lasting(WAIT_LIMIT_MS, leftovers), when).toEqual([]);
}

/** Begins it and comes back as soon as it is accepted. */
async function begin(args: readonly string[]): Promise<string> {
  return (await fleet.cli.text([...args, '--name', 'victim', '--detach', '-o', 'name'])).trim();
}

async function reached(): Promise<void> {
  await waitFor('the tool reaches the point', WAIT_LIMIT_MS, () =>
    faultsOf(node.host).some((fault) => (fault.done ?? 0) > 0) ? true : undefined,
  );
}

async function inStep(id: string, pattern: RegExp): Promise<void> {
  await waitFor(`the operation is at ${pattern.source}`, WAIT_LIMIT_MS, async () => {
    const { steps, state } = await fleet.operation(id);
    return state === 'done' || steps.some((step) => pattern.test(step.title) && step.state !== 'queued')
      ? true
      : undefined;
  });
}

describe('an agent killed while a tool works', () => {
  it.each<[string, FaultRule]>([
    ['pct create has the lock', { at: 'pct create', point: 'after-lock', do: 'hang' }],
    ['pct create has made volumes', { at: 'pct create', point: 'after-volume', do: 'hang' }],
    ['pct create unpacks', { at: 'pct create', point: 'mid-extract', do: 'hang' }],
    ['pct create is about to write the configuration', { at: 'pct create', point: 'before-config', do: 'hang' }],
    ['pct create has ended', { at: 'pct create', point: 'end', do: 'hang' }],
    ['pct set is about to write the configuration', { at: 'pct set', point: 'before-config', do: 'hang' }],
    ['pct set has ended', { at: 'pct set', point: 'end', do: 'hang' }],
  ])('where %s', async (_when, fault) => {
    setFaults(node.host, [fault]);
    const id = await begin(['container', 'create', image, ...MOUNT]);
    await reached();
    await node.kill();
    await node.start();
    await wholeOrGone(await fleet.ended(id), 'stopped');
  });

  it.each<[string, FaultRule]>([
    ['before the guest runs', { at: 'pct start', point: 'before-start', do: 'delay', delayMs: 1500 }],
    ['after the guest runs', { at: 'pct start', point: 'after-start', do: 'delay', delayMs: 1500 }],
  ])('where pct start stands %s', async (_when, fault) => {
    setFaults(node.host, [fault]);
    const id = await begin(['run', image]);
    await reached();
    await node.kill();
    await node.start();
    await wholeOrGone(await fleet.ended(id), 'running');
  });

  it('where pct destroy is under way finishes the destroy', async () => {
    const vmid = await fleet.cli
      .text(['container', 'create', image, '--name', 'victim'])
      .then(async () => (await fleet.container('victim')).vmid);
    setFaults(node.host, [{ at: 'pct destroy', point: 'begin', do: 'delay', delayMs: 1000 }]);
    const id = await fleet.cli.text(['container', 'destroy', String(vmid), '--yes', '--detach', '-o', 'name']);
    await reached();
    await node.kill();
    await node.start();
    expect(await fleet.ended(id.trim())).toMatchObject({ state: 'done' });
    expect(await fleet.containers()).toEqual([]);
    await nothingIsLeft('after a destroy');
  });
});

describe('an agent killed between its steps', () => {
  it.each([
    ['pull', /^pull/],
    ['create', /^create container/],
    ['look at the inventory', /^see container/],
  ])('at the beginning of %s', async (_name, pattern) => {
    const id = await begin(['run', image]);
    await inStep(id, pattern);
    await node.kill();
    await node.start();
    await wholeOrGone(await fleet.ended(id), 'running');
  });
});

describe('an agent killed while skopeo fetches', () => {
  it('leaves no half image, and the guest is made after all', async () => {
    const large = demoSpec({ name: 'large', version: '1.0' });
    const layers = [...large.layers, [{ path: 'opt/random', content: randomBytes(24 * 1024 * 1024) }]];
    const { path } = await writeOciArchive(fleet.dir.path('large.tar'), { ...large, layers, compression: 'none' });
    const reference = await fleet.push(path, 'demo/large:1.0');
    // It takes longer than anybody may stand still before he looks.
    line.slow({ latencyMs: 0, bytesPerSecond: 512 * 1024 });
    const id = await begin(['container', 'create', reference]);
    await waitFor('skopeo copies', WAIT_LIMIT_MS, () =>
      processesOf(node.stateDir).some(({ argv }) => argv[0] === 'skopeo' && argv.includes('copy')) ? true : undefined,
    );
    await node.kill();
    line.slow(undefined);
    await node.start();
    const operation = await fleet.ended(id);
    expect(operation.state).toBe('done');
    await fleet.cli.text(['container', 'destroy', 'victim', '--yes']);
    await nothingIsLeft('after a pull');
  });
});

describe('pct itself killed with SIGKILL', () => {
  it.each(['after-lock', 'after-volume', 'mid-extract', 'before-config'] as const)('at %s is undone', async (point) => {
    setFaults(node.host, [{ at: 'pct create', point, do: 'die' }]);
    const id = await begin(['container', 'create', image]);
    const operation = await fleet.ended(id);
    expect(operation).toMatchObject({ state: 'failed', problem: { code: 'PXM_COMMAND_FAILED' } });
    expect(operation.problem?.message).toContain('pct');
    await wholeOrGone(operation, 'stopped');
  });
});

describe('a controller killed in the middle of a run', () => {
  it.each([
    ['right after it was accepted', undefined, /./],
    [
      'while pct create works',
      { at: 'pct create', point: 'mid-extract', do: 'delay', delayMs: 1500 } as const,
      undefined,
    ],
    [
      'while pct start works',
      { at: 'pct start', point: 'before-start', do: 'delay', delayMs: 1500 } as const,
      undefined,
    ],
    ['while it waits for the inventory', undefined, /^see container/],
  ])('%s goes on afterwards', async (_when, fault, step) => {
    if (fault !== undefined) setFaults(node.host, [fault]);
    const id = await begin(['run', image]);
    if (fault !== undefined) await reached();
    if (step !== undefined) await inStep(id, step);
    await fleet.controller.kill();
    await fleet.controller.start();
    await node.waitUp();
    const operation = await fleet.ended(id);
    expect(operation.state).toBe('done');
    await wholeOrGone(operation, 'running');
  });
});

describe('controller and agent killed together', () => {
  it('come to the same end', async () => {
    setFaults(node.host, [{ at: 'pct create', point: 'after-volume', do: 'hang' }]);
    const id = await begin(['container', 'create', image]);
    await reached();
    await Promise.all([fleet.controller.kill(), node.kill()]);
    await fleet.controller.start();
    await node.start();
    await wholeOrGone(await fleet.ended(id), 'stopped');
  });
});
