/** A real agent on a stand-in host, ordered about by the test itself: no controller, so that each point costs little. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuestServiceClient, ImageServiceClient, OperationServiceClient } from '@pxmgr/contract/agent';
import {
  type ContainerChange,
  ContainerSpec,
  type ImageSource,
  type Operation,
  OperationState,
  Order,
  type Order as OrderType,
} from '@pxmgr/contract/common';
import { openPki } from '@pxmgr/controller/fleet/pki';
import { systemClock } from '@pxmgr/kit/clock';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import { type Channel, createChannel } from '@pxmgr/kit/rpc/channel';
import { readPools } from '@pxmgr/sim/pool/state';
import { parse } from 'yaml';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { lasting, waitFor } from '../../deploy/stand/wait.ts';
import { TestFleet, WAIT_LIMIT_MS } from '../e2e/fleet.ts';
import { agentScratch, guestLocks, hostTree, mountsBelow, processesOf, runningTasks, treeOf } from '../e2e/traces.ts';
import type { Preload } from '../support/preload.ts';
import { makeTemplate } from '../support/small-template.ts';

/** A guest that a scenario works on. */
export interface Subject {
  readonly vmid: number;
  readonly guestUid: string;
}

export class AgentBench {
  readonly fleet: TestFleet;
  readonly node: NodeProcess;
  readonly image: ImageSource;
  readonly #channel: Channel;
  #orders = 0;

  private constructor(fleet: TestFleet, channel: Channel, image: ImageSource) {
    this.fleet = fleet;
    this.node = fleet.node('pve2');
    this.#channel = channel;
    this.image = image;
  }

  static async start(): Promise<AgentBench> {
    const fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played', faulty: ['agent'] });
    await fleet.controller.stop();
    const node = fleet.node('pve2');
    const pki = await openPki(join(fleet.controller.stateDir, 'pki'), systemClock);
    const { certificate, privateKey } = await pki.issueController({ names: [] });
    const { listen } = parse(readFileSync(node.configFile, 'utf8')) as { listen: string };
    const channel = createChannel({
      address: listen,
      tls: { ca: pki.caCertificate, cert: certificate, key: privateKey },
      peer: { kind: 'agent' },
    });
    makeTemplate(node);
    const image = await resolve(channel, await fleet.image('web'));
    return new AgentBench(fleet, channel, image);
  }

  async stop(): Promise<void> {
    this.#channel.close();
    await this.fleet.stop();
  }

  get faults(): Preload {
    return this.fleet.faults('agent');
  }

  get hasImage(): boolean {
    return existsSync(join(this.node.stateDir, 'images/records', `${this.image.digest.slice('sha256:'.length)}.json`));
  }

  newOrder(): OrderType {
    this.#orders += 1;
    return Order.fromPartial({ idempotencyKey: `bench/${this.#orders}`, planId: 'bench', actor: 'operator:bench' });
  }

  async pull(order: OrderType, image: ImageSource = this.image): Promise<void> {
    const client = this.#channel.client(ImageServiceClient);
    await this.#channel.call(client, 'pullImage', { order, image, storage: '' }, LIMIT);
  }

  async create(order: OrderType, { vmid, guestUid }: Subject, spec: ContainerSpec): Promise<void> {
    const client = this.#channel.client(GuestServiceClient);
    await this.#channel.call(client, 'createContainer', { order, vmid, guestUid, spec }, LIMIT);
  }

  /** `full` = all data of the source is copied. */
  async clone(order: OrderType, { vmid, guestUid }: Subject, of: { source: Subject; full: boolean }): Promise<void> {
    const client = this.#channel.client(GuestServiceClient);
    const source = { ...of.source, snapshot: '' };
    const request = { order, vmid, guestUid, source, name: 'clone', storage: '', full: of.full };
    await this.#channel.call(client, 'cloneContainer', request, LIMIT);
  }

  async verb(order: OrderType, subject: Subject, verb: 'start' | 'shutdown' | 'stop' | 'destroy'): Promise<void> {
    if (verb === 'shutdown') {
      await this.shutdown(order, subject, 2);
      return;
    }
    const { vmid, guestUid } = subject;
    const client = this.#channel.client(GuestServiceClient);
    const readiness = { kind: 'none', port: 0, path: '', timeoutSeconds: 0 };
    const request = { order, vmid, guestUid, readiness, force: verb === 'destroy' };
    await this.#channel.call(client, `${verb}Container`, request, LIMIT);
  }

  async shutdown(order: OrderType, { vmid, guestUid }: Subject, timeoutSeconds: number): Promise<void> {
    const client = this.#channel.client(GuestServiceClient);
    const request = { order, vmid, guestUid, timeoutSeconds, force: false };
    await this.#channel.call(client, 'shutdownContainer', request, LIMIT);
  }

  async change(order: OrderType, { vmid, guestUid }: Subject, change: ContainerChange['change']): Promise<void> {
    const client = this.#channel.client(GuestServiceClient);
    await this.#channel.call(client, 'changeContainer', { order, vmid, guestUid, change: { change } }, LIMIT);
  }

  /** Undefined when the agent does not know the order. */
  async operation(order: OrderType, limit = LIMIT): Promise<Operation | undefined> {
    const key = { $case: 'idempotencyKey', value: order.idempotencyKey } as const;
    const client = this.#channel.client(OperationServiceClient);
    try {
      return (await this.#channel.call(client, 'getOperation', { key }, limit)).operation;
    } catch (error) {
      if (isPxmError(error, 'PXM_OPERATION_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** The operation of the order when it has ended; undefined when the agent does not know it. */
  async ended(order: OrderType): Promise<Operation | undefined> {
    return await waitFor(`the end of ${order.idempotencyKey}`, WAIT_LIMIT_MS, async () => {
      const operation = await this.operation(order);
      if (operation === undefined) return { operation };
      return operation.state >= OperationState.OPERATION_STATE_DONE ? { operation } : undefined;
    }).then(({ operation }) => operation);
  }

  /** Orders it and waits; throws when it does not end well. */
  async succeed(send: (order: OrderType) => Promise<void>): Promise<Operation> {
    const order = this.newOrder();
    await send(order);
    const operation = await this.ended(order);
    if (operation?.state !== OperationState.OPERATION_STATE_DONE)
      throw new Error(
        `${operation?.title ?? 'an order'} did not end well: ${operation?.problem?.message ?? 'unknown'}`,
      );
    return operation;
  }

  async died(): Promise<void> {
    await waitFor('the agent is killed', WAIT_LIMIT_MS, () => (this.node.isAlive ? undefined : true));
  }

  /** Starts the agent; returns when it takes orders and has ended what the earlier one left. */
  async restart(): Promise<void> {
    await this.node.kill();
    this.node.startOnly();
    await waitFor('the agent has recovered', WAIT_LIMIT_MS, async () => {
      if (!this.node.isAlive) throw new Error('the agent does not start, or died in its recovery');
      return (await this.hasRecovered()) ? true : undefined;
    });
  }

  /** It answers, and has ended what an earlier process left. */
  async hasRecovered(): Promise<boolean> {
    const client = this.#channel.client(OperationServiceClient);
    const request = { activeOnly: true, limit: 0 };
    return await this.#channel.call(client, 'listOperations', request, PROBE).then(
      ({ operations }) => operations.length === 0,
      () => false,
    );
  }

  /** What is there: files of the host, what the agent keeps, with the subject's own uid under one name. */
  world(subject: Subject): Map<string, string> {
    const world = hostTree(this.node);
    for (const [path, kind] of world)
      if (/\/lxc\/\d+\.conf$/.test(path) && kind !== 'link') world.set(path, configOf(this.node.host.path(path)));
    for (const { name, snapshots } of readPools(this.node.host).datasets)
      world.set(`dataset: ${name}`, snapshots.map((snapshot) => snapshot.name).join());
    for (const [path, kind] of treeOf(this.node.stateDir, AGENT_LIVING)) world.set(`agent:${path}`, kind);
    for (const name of readdirSync(this.node.host.path('/var/lib/vz/template/cache')))
      world.set(`archive: ${name}`, 'file');
    for (const uid of recordsOf(this.node))
      world.set(`agent: record of ${uid === subject.guestUid ? 'it' : uid}`, 'record');
    return world;
  }

  /** What no operation may leave, whatever its end. */
  leftovers(): string[] {
    const { node } = this;
    return [
      ...mountsBelow(node.host.root).map((line) => `mount: ${line}`),
      ...runningTasks(node).map((line) => `task: ${line}`),
      ...guestLocks(node).map((line) => `lock: ${line}`),
      ...agentScratch(node).map((path) => `scratch: ${path}`),
      ...processesOf(`${node.host.root}/bin/`).map(({ argv }) => `process: ${argv.join(' ')}`),
      ...processesOf(node.stateDir)
        .filter(({ argv }) => argv.includes('skopeo'))
        .map(({ argv }) => `process: ${argv.join(' ')}`),
    ];
  }

  /** Those that stay: an agent that looks at its host runs programs, too, and they end. */
  async lastingLeftovers(): Promise<string[]> {
    return await lasting(WAIT_LIMIT_MS, () => this.leftovers());
  }
}

const LIMIT = { deadlineMs: 60_000 };
const PROBE = { deadlineMs: 1000 };

/** Journals, the outbox and its neighbours change by themselves; blobs are a cache. */
const AGENT_LIVING = [
  /^\/operations\/op-[0-9a-z]+\.jsonl$/,
  /^\/operations\/reserve$/,
  /^\/(?:outbox|generation|lock(?:\.\d+)?|fence\.json|guests\.json)$/,
  /^\/images\/blobs\/sha256(?:\/[0-9a-f]{64})?$/,
  /^\/identity(?:\/|$)/,
];

/** Without what differs at each creation. */
function configOf(path: string): string {
  return readFileSync(path, 'utf8')
    .replaceAll(/\b[0-9a-f]{32}\b/g, 'UID')
    .replaceAll(/(?:[0-9A-F]{2}:){5}[0-9A-F]{2}/g, 'MAC')
    .replaceAll(/^snaptime: \d+$/gm, 'snaptime: T');
}

function recordsOf(node: NodeProcess): string[] {
  try {
    return Object.keys(JSON.parse(readFileSync(join(node.stateDir, 'guests.json'), 'utf8')) as object);
  } catch {
    // Not written yet.
    return [];
  }
}

async function resolve(channel: Channel, reference: string): Promise<ImageSource> {
  const client = channel.client(ImageServiceClient);
  const request = { reference, platform: 'linux/amd64' };
  const { image } = await channel.call(client, 'resolveImage', request, LIMIT);
  if (image === undefined) throw new Error(`${reference} was not resolved`);
  return image;
}

export function specOf(part: Parameters<typeof ContainerSpec.fromPartial>[0]): ContainerSpec {
  return ContainerSpec.fromPartial({
    name: 'victim',
    storage: 'local-zfs',
    memoryBytes: 256n * 1024n * 1024n,
    rootfsBytes: 1024n ** 3n,
    networks: [{ name: 'eth0', bridge: 'vmbr0', ipv4: 'dhcp' }],
    ...part,
  });
}
