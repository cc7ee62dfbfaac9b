/** A stand-in host with the agent's real watcher, collectors and outbox over it; a look is one poll of the watcher. */
import { join } from 'node:path';
import { createEventStack, type EventStack } from '@pxmgr/agent/event/event-stack';
import { Outbox } from '@pxmgr/agent/event/outbox';
import { GuestList } from '@pxmgr/agent/guest/guest-list';
import { RunState } from '@pxmgr/agent/guest/run-state';
import { Cluster } from '@pxmgr/agent/host/cluster';
import { readNodeFacts } from '@pxmgr/agent/host/facts';
import { HostPaths } from '@pxmgr/agent/host/paths';
import { NO_IMAGES } from '@pxmgr/agent/inventory/images';
import { createMask } from '@pxmgr/agent/inventory/mask';
import type { ContainerDocument } from '@pxmgr/contract/common';
import type { Cause } from '@pxmgr/contract/event';
import { FakeClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { syncCluster } from '@pxmgr/sim/cluster/pmxcfs';
import { createInProcessRunner } from '@pxmgr/sim/door/in-process';
import type { HostSpec } from '@pxmgr/sim/host/host';
import { machineRunner } from '@pxmgr/sim/host/machine';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '@pxmgr/sim/host.fixture';
import { onTestFinished } from 'vitest';

/** A change that an agent would tell now. */
export interface Told {
  readonly id: string;
  /** undefined = gone. */
  readonly container: ContainerDocument | undefined;
  readonly cause: Cause | undefined;
  readonly resync: boolean;
}

export class WatchedHost {
  readonly node: TestHost;
  readonly clock = new FakeClock(new Date());
  #agent: { stack: EventStack; outbox: Outbox } | undefined;

  private constructor(node: TestHost) {
    this.node = node;
  }

  /** An empty host whose agent has looked once. */
  static async make(spec: Partial<HostSpec> = {}): Promise<WatchedHost> {
    const watched = new WatchedHost(makeHost(spec));
    onTestFinished(() => {
      watched.node.remove();
    });
    await watched.startAgent();
    await watched.look();
    return watched;
  }

  get name(): string {
    return this.node.host.name;
  }

  /** A new process of the agent, on the state that an earlier one left. */
  async startAgent(): Promise<void> {
    const { host } = this.node;
    const paths = new HostPaths(host.root);
    const clock = this.clock;
    const runState = new RunState(paths, clock);
    const outbox = Outbox.open(join(host.root, 'var/lib/pxmgr-agent/outbox'));
    const stack = createEventStack({
      inventory: {
        paths,
        runner: createInProcessRunner(host, { fallback: machineRunner() }),
        cluster: new Cluster(paths, host.name),
        nodeName: host.name,
        facts: await readNodeFacts(paths),
        packages: new Map(),
        tools: {},
        agentVersion: '0.1.0',
        agentAddress: '192.0.2.1:7450',
        guests: new GuestList(paths, host.name, runState),
        containers: { mask: createMask('test'), originOf: () => undefined },
        images: NO_IMAGES,
        recovering: () => [],
      },
      runState,
      outbox,
      // Never connected: what it would publish is read from the outbox.
      bus: { url: 'nats://127.0.0.1:1', nodeUid: `n-${'a'.repeat(16)}`, ca: undefined, credentials: undefined },
      generation: 1n,
      pollMs: 200,
      activeOperations: () => 0,
      clock,
      logger: silentLogger(),
    });
    const stop = new AbortController();
    stop.abort();
    onTestFinished(() => stack.watcher.run(stop.signal));
    this.#agent = { stack, outbox };
  }

  /** One poll; gives what it would publish of containers, and considers it sent. */
  async look(): Promise<Told[]> {
    if (this.#agent === undefined) throw new Error('no agent runs');
    const { stack, outbox } = this.#agent;
    await stack.feed.refresh(stack.watcher.look());
    let revision = 0n;
    const sent = outbox.take(10_000, () => ({ generation: 1n, revision: (revision += 1n) }));
    outbox.confirm(sent);
    return sent
      .filter((slot) => slot.kind === 'container')
      .map(({ id, document, cause, resync }) => {
        const inner = document?.document;
        return { id, container: inner?.$case === 'container' ? inner.value : undefined, cause, resync };
      });
  }

  /** What the cluster file system notices at once on a real host: a write past Proxmox's tools. */
  noticeWrites(): void {
    syncCluster(this.node.host);
  }

  async pct(...argv: readonly string[]): Promise<void> {
    const ran = await this.node.run('pct', ...argv);
    if (ran.status !== 0) throw new Error(`pct ${argv.join(' ')}: ${ran.stderr}`);
  }

  async create(vmid: number): Promise<void> {
    await this.pct('create', String(vmid), SMALL_TEMPLATE, '--rootfs', 'local:0.01', '--ostype', 'unmanaged');
  }

  configFile(vmid: number, node = this.name): string {
    return this.node.host.clusterPath('nodes', node, 'lxc', `${String(vmid)}.conf`);
  }
}
