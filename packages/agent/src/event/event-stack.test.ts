import { join } from 'node:path';
import { heartbeatSubject, inventorySubject, manifestSubject, resyncSubject } from '@pxmgr/contract';
import { ResyncInventoryRequest, ResyncInventoryResponse } from '@pxmgr/contract/agent';
import type { InventoryMessage } from '@pxmgr/contract/event';
import { HeartbeatMessage, ManifestMessage } from '@pxmgr/contract/event';
import { systemClock } from '@pxmgr/kit/clock';
import { ScriptedRunner } from '@pxmgr/kit/exec/scripted';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { GuestList } from '../guest/guest-list.ts';
import { RunState } from '../guest/run-state.ts';
import { Cluster } from '../host/cluster.ts';
import { readNodeFacts } from '../host/facts.ts';
import { NodeTree } from '../host/host-tree.fixture.ts';
import { NO_IMAGES } from '../inventory/images.ts';
import { createMask } from '../inventory/mask.ts';
import type { EventStack } from './event-stack.ts';
import { createEventStack } from './event-stack.ts';
import { TestNats, until } from './nats.fixture.ts';
import { Outbox } from './outbox.ts';

let nats: TestNats;
let uidCounter = 0;
let nodeUid = '';

beforeAll(async () => {
  nats = await TestNats.start();
  await nats.makeStream();
});
afterAll(async () => {
  await nats.close();
});
beforeEach(() => {
  uidCounter += 1;
  nodeUid = `n-${'a'.repeat(15)}${'bcdefghij'.charAt(uidCounter)}`;
});

async function startStack(node: NodeTree, generation = 7n): Promise<EventStack & { stop: () => Promise<void> }> {
  const { paths, root } = node.tree;
  const runState = new RunState(paths, systemClock);
  const stack = createEventStack({
    inventory: {
      paths,
      runner: new ScriptedRunner(),
      cluster: new Cluster(paths),
      nodeName: 'pve1',
      facts: await readNodeFacts(paths),
      packages: new Map([['pve-manager', '9.1.1']]),
      tools: { pct: '6.1.10' },
      agentVersion: '0.1.0',
      agentAddress: '192.0.2.1:7450',
      guests: new GuestList(paths, 'pve1', runState),
      containers: { mask: createMask('test'), originOf: () => undefined },
      images: NO_IMAGES,
      recovering: () => [],
    },
    runState,
    outbox: Outbox.open(join(root, 'state/outbox')),
    bus: { url: nats.url, nodeUid, ca: undefined, credentials: undefined },
    generation,
    pollMs: 10,
    activeOperations: () => 3,
    clock: systemClock,
    logger: silentLogger(),
  });
  const stop = new AbortController();
  const done = stack.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort();
    await done;
  };
  onTestFinished(end);
  return { ...stack, stop: end };
}

function container(message: InventoryMessage | undefined) {
  return message?.document?.document?.$case === 'container' ? message.document.document.value : undefined;
}

describe('the outward half of the agent on a real bus', () => {
  const subjectOf = (vmid: number): string => inventorySubject(nodeUid, 'container', String(vmid));

  it('publishes the node and its containers, then every change, then the tombstone', async () => {
    const node = new NodeTree().guest(101, 'hostname: proxy\nmemory: 1024\n');
    await startStack(node);
    const first = await until('the container appears', () => nats.lastObject(subjectOf(101)));
    expect(first).toMatchObject({ generation: 7n, deleted: false, resync: true, nodeName: 'pve1' });
    expect(container(first)).toMatchObject({
      vmid: 101,
      name: 'proxy',
      status: 'stopped',
      memoryBytes: 1024n * 1024n * 1024n,
    });
    const self = await until('the node appears', () => nats.lastObject(inventorySubject(nodeUid, 'node', 'pve1')));
    expect(self.document?.document?.value).toMatchObject({
      name: 'pve1',
      quorate: true,
      pveVersion: '9.1.1',
      cpuCores: 2,
      failures: [],
    });

    node.guest(101, 'hostname: proxy2\nmemory: 1024\n').start(101);
    const changed = await until('the change appears', async () => {
      const message = await nats.lastObject(subjectOf(101));
      return container(message)?.name === 'proxy2' && container(message)?.status === 'running' ? message : undefined;
    });
    expect(changed.resync).toBe(false);
    expect(changed.revision).toBeGreaterThan(first.revision);

    node.destroy(101);
    await until('the tombstone appears', async () => (await nats.lastObject(subjectOf(101)))?.deleted);
  });

  it('tells who changed a guest, from an operation or from a Proxmox task', async () => {
    const node = new NodeTree().guest(101, 'hostname: a\n');
    const { feed } = await startStack(node);
    await until('the container appears', () => nats.lastObject(subjectOf(101)));
    const seconds = Math.floor(Date.now() / 1000)
      .toString(16)
      .toUpperCase()
      .padStart(8, '0');
    const upid = `UPID:pve1:0001A2B3:004C5D6E:${seconds}:vzstart:101:alice@pam:`;
    node.tree.write('/var/log/pve/tasks/active', `${upid} 0\n`);
    node.start(101);
    const byTask = await until('the start appears', async () => {
      const message = await nats.lastObject(subjectOf(101));
      return container(message)?.status === 'running' ? message : undefined;
    });
    expect(byTask.cause).toMatchObject({ upid, user: 'alice@pam', operationId: '' });

    feed.noteCause('container', '101', { operationId: 'op-1', actor: 'operator:bob' });
    node.guest(101, 'hostname: b\n');
    const byOperation = await until('the edit appears', async () => {
      const message = await nats.lastObject(subjectOf(101));
      return container(message)?.name === 'b' ? message : undefined;
    });
    expect(byOperation.cause).toMatchObject({ operationId: 'op-1', actor: 'operator:bob' });
  });

  it('sends a manifest that matches what it published, and answers a resync', async () => {
    const node = new NodeTree().guest(101, 'hostname: a\n').guest(102, 'hostname: b\n');
    const { publisher } = await startStack(node);
    const manifest = await until('a manifest with both guests', async () => {
      const data = await nats.last(manifestSubject(nodeUid));
      const message = data === undefined ? undefined : ManifestMessage.decode(data);
      return message?.kinds.find((row) => row.kind === 'container')?.count === 2 ? message : undefined;
    });
    expect(manifest.kinds.map((row) => row.kind)).toEqual([
      'node',
      'container',
      'vm',
      'storage',
      'dataset',
      'template',
      'image',
      'gpu',
      'usb',
      'network',
    ]);
    expect(manifest.revision).toBe(publisher.position.revision);

    const before = publisher.position.revision;
    const connection = await nats.connect();
    const request = ResyncInventoryRequest.encode({ kinds: ['container'] }).finish();
    const reply = await connection.request(resyncSubject(nodeUid), request, { timeout: 5000 });
    expect(ResyncInventoryResponse.decode(reply.data).published).toBe(2);
    await until('two more messages are out', () => (publisher.position.revision === before + 2n ? true : undefined));
    expect(await nats.lastObject(subjectOf(101))).toMatchObject({ resync: true });
  });

  it('keeps the last view and reports the failure while the cluster file system is away', async () => {
    const node = new NodeTree().guest(101, 'hostname: a\n');
    await startStack(node);
    await until('the container appears', () => nats.lastObject(subjectOf(101)));
    node.tree.remove('/etc/pve/.version').remove('/etc/pve/.vmlist').remove('/etc/pve/.members');
    const self = await until('the failure appears', async () => {
      const message = await nats.lastObject(inventorySubject(nodeUid, 'node', 'pve1'));
      const document = message?.document?.document?.$case === 'node' ? message.document.document.value : undefined;
      return document?.failures.some((failure) => failure.source === '/etc/pve') === true ? document : undefined;
    });
    expect(self.quorate).toBe(false);
    expect(await nats.lastObject(subjectOf(101))).toMatchObject({ deleted: false });

    node.tree.write('/etc/pve/.members', '{"nodename": "pve1", "version": 0}');
    node.guest(101, 'hostname: back\n').restartClusterFileSystem();
    await until('it is read again', async () =>
      container(await nats.lastObject(subjectOf(101)))?.name === 'back' ? true : undefined,
    );
  });

  it('beats, and names its address as soon as it takes orders', async () => {
    const connection = await nats.connect();
    const beats = connection.subscribe(heartbeatSubject(nodeUid), { max: 50 });
    await connection.flush();
    const { heartbeat } = await startStack(new NodeTree());
    const heard: HeartbeatMessage[] = [];
    for await (const message of beats) {
      heard.push(HeartbeatMessage.decode(message.data));
      if (heard.length === 1) heartbeat.tellServing();
      if (heard.at(-1)?.agentAddress !== '') break;
    }
    expect(heard[0]).toMatchObject({
      generation: 7n,
      nodeName: 'pve1',
      uptimeSeconds: 3600n,
      activeOperations: 3,
      agentAddress: '',
    });
    expect(heard.at(-1)?.agentAddress).toBe('192.0.2.1:7450');
  });
});
