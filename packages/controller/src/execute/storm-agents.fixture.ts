/**
 * For tests: agents behind the agent door, on a fake clock and without sockets. Hosts, journals and fences outlive the
 * controller. Each call meets the next fate of a list; what happens on a host reaches the inventory late.
 */
import {
  ContainerSpec,
  ImageDocument,
  Operation,
  type OperationEvent,
  OperationState,
  type Order,
} from '@pxmgr/contract/common';
import { type Clock, createSequentialIds } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toProblem } from '@pxmgr/kit/error/to-problem';
import { inventoryObject, uidOf } from '../domain/fleet.fixture.ts';
import type { Accepted, AgentDoor, WatchFrom } from '../plan/agent-door.ts';
import { DIGEST } from './agent.fixture.ts';
import type { StormHosts } from './storm-hosts.fixture.ts';

/** `deaf`: the order is lost. `late`: it comes when nobody waits any more. `mute`: its answer is lost. `undone`: the agent crashed. */
export const FATES = ['well', 'refused', 'deaf', 'late', 'mute', 'twice', 'fails', 'undone', 'slow', 'away'] as const;
export type Fate = (typeof FATES)[number];

export interface Luck {
  fate(): Fate;
  /** 1 to 100: how long things take. */
  pace(): number;
}

interface Kept {
  operation: Operation;
  readonly events: OperationEvent[];
  isCancelled: boolean;
  wake: () => void;
  changed: Promise<void>;
}

interface Agent {
  readonly name: string;
  readonly kept: Map<string, Kept>;
  readonly byKey: Map<string, Kept>;
  readonly fence: Map<number, Pick<Order, 'fencingToken' | 'planGeneration'>>;
  /** The last work on each vmid. */
  readonly queue: Map<number, Promise<void>>;
  isAway: boolean;
}

interface Job {
  readonly kind: string;
  readonly vmid: number;
  readonly order: Order | undefined;
  /** Refuses an order that is plainly impossible. */
  readonly check?: () => void;
  readonly effect: () => void;
}

const { OPERATION_STATE_RUNNING, OPERATION_STATE_DONE, OPERATION_STATE_FAILED, OPERATION_STATE_CANCELLED } =
  OperationState;
const DEADLINE_MS = 30_000;
/** Longer than a reservation holds without being renewed. */
const SLOW_MS = 70 * 60_000;
const MINUTE_MS = 60_000;

export class StormAgents {
  readonly #hosts: StormHosts;
  readonly #clock: Clock;
  readonly #luck: Luck;
  readonly #ids = createSequentialIds();
  readonly #agents: Map<string, Agent>;

  constructor(hosts: StormHosts, clock: Clock, luck: Luck) {
    this.#hosts = hosts;
    this.#clock = clock;
    this.#luck = luck;
    this.#agents = new Map(hosts.names.map((name) => [uidOf(name), newAgent(name)]));
  }

  readonly door: AgentDoor = {
    resolveImage: async (uid, { reference }) => {
      await this.#reach(uid);
      const image = { reference, digest: DIGEST, platform: 'linux/amd64', indexDigest: '', sizeBytes: 100_000_000n };
      return { image, config: undefined };
    },
    pullImage: (uid, { order }) =>
      this.#call(uid, { kind: 'image.pull', vmid: 0, order, effect: () => this.#takeImage(uid) }),
    createContainer: (uid, { order, vmid, guestUid, spec }) =>
      this.#call(uid, {
        kind: 'container.create',
        vmid,
        order,
        effect: () => {
          this.#hosts.create(this.#agent(uid).name, vmid, { guestUid, spec: spec ?? ContainerSpec.fromPartial({}) });
          this.#hosts.publish(this.#agent(uid).name, vmid, this.#lag(uid));
        },
      }),
    cloneContainer: (uid) => Promise.reject(new Error(`no storm clones a container of ${uid}`)),
    startContainer: (uid, { order, vmid, guestUid }) => this.#verb(uid, 'start', { order, vmid, guestUid }),
    shutdownContainer: (uid, { order, vmid, guestUid }) => this.#verb(uid, 'stop', { order, vmid, guestUid }),
    stopContainer: (uid, { order, vmid, guestUid }) => this.#verb(uid, 'stop', { order, vmid, guestUid }),
    destroyContainer: (uid, { order, vmid, guestUid }) => this.#verb(uid, 'destroy', { order, vmid, guestUid }),
    changeContainer: (uid) => Promise.reject(new Error(`no storm changes a container of ${uid}`)),
    getGuest: async (uid, vmid) => {
      const { name } = await this.#reach(uid);
      return this.#hosts.document(name, vmid);
    },
    getOperation: async (uid, { key }) => {
      const agent = await this.#reach(uid);
      const kept = key?.$case === 'id' ? agent.kept.get(key.value) : agent.byKey.get(key?.value ?? '');
      return known(kept, key?.value ?? '').operation;
    },
    watchOperation: (uid, id, { afterSeq, signal }) => this.#watch(uid, id, { afterSeq, signal }),
    cancelOperation: async (uid, id) => {
      const agent = await this.#reach(uid);
      const kept = known(agent.kept.get(id), id);
      kept.isCancelled = true;
      return kept.operation;
    },
  };

  #verb(
    uid: string,
    verb: 'start' | 'stop' | 'destroy',
    { order, vmid, guestUid }: { order: Order | undefined; vmid: number; guestUid: string },
  ): Promise<Accepted> {
    const { name } = this.#agent(uid);
    return this.#call(uid, {
      kind: `container.${verb}`,
      vmid,
      order,
      check: () => {
        this.#hosts.require(name, vmid, guestUid);
      },
      effect: () => {
        this.#hosts.require(name, vmid, guestUid);
        if (verb === 'destroy') this.#hosts.destroy(name, vmid);
        else this.#hosts.setRunning(name, vmid, verb === 'start');
        this.#hosts.publish(name, vmid, this.#lag(uid));
      },
    });
  }

  async #call(uid: string, job: Job): Promise<Accepted> {
    const fate = this.#luck.fate();
    const agent = this.#agent(uid);
    const soon = this.#luck.pace();
    if (fate === 'away') this.#goAway(agent, soon * MINUTE_MS);
    await this.#reach(uid);
    if (fate === 'late' || fate === 'twice') this.#again(agent, job, soon * MINUTE_MS);
    if (fate === 'deaf' || fate === 'late') {
      await this.#clock.sleep(DEADLINE_MS);
      throw new PxmError('PXM_DEADLINE_EXCEEDED', { peer: agent.name });
    }
    const operation = this.#deliver(agent, job, fate);
    await this.#clock.sleep(soon);
    if (fate === 'mute' || agent.isAway) throw unreachable(agent.name);
    return { operation, commands: [] };
  }

  /** The same order once more, when nobody listens. */
  #again(agent: Agent, job: Job, afterMs: number): void {
    void this.#clock.sleep(afterMs).then(() => {
      try {
        this.#deliver(agent, job, 'well');
      } catch {
        // It was refused, and there is nobody to be told.
      }
    });
  }

  #deliver(agent: Agent, job: Job, fate: Fate): Operation {
    const { order, vmid, kind } = job;
    const key = order?.idempotencyKey ?? '';
    const old = agent.byKey.get(key);
    if (old !== undefined) return old.operation;
    if (fate === 'refused')
      throw new PxmError('PXM_GUEST_LOCKED', { vmid: String(vmid), node: agent.name, lock: 'backup' });
    if (vmid !== 0 && order !== undefined) heedFence(agent, vmid, order);
    const before = agent.queue.get(vmid);
    if (before === undefined) job.check?.();
    const id = this.#ids.operationId();
    const operation = Operation.fromPartial({
      id,
      kind,
      title: kind,
      state: OPERATION_STATE_RUNNING,
      idempotencyKey: key,
    });
    const kept = newKept(operation);
    agent.kept.set(id, kept);
    agent.byKey.set(key, kept);
    say(kept);
    const work = this.#work(kept, job, { fate, before });
    if (vmid === 0) return operation;
    agent.queue.set(vmid, work);
    void work.then(() => {
      if (agent.queue.get(vmid) === work) agent.queue.delete(vmid);
    });
    return operation;
  }

  async #work(kept: Kept, { effect }: Job, how: { fate: Fate; before: Promise<void> | undefined }): Promise<void> {
    const { fate, before } = how;
    await before;
    await this.#clock.sleep(fate === 'slow' ? SLOW_MS : this.#luck.pace() * 100);
    const end = (state: OperationState, part: Partial<Operation> = {}): void => {
      kept.operation = { ...kept.operation, ...part, state };
      say(kept);
    };
    const failed = (error: unknown, recovery = ''): void =>
      end(OPERATION_STATE_FAILED, { problem: toProblem(error), recovery });
    if (kept.isCancelled) {
      end(OPERATION_STATE_CANCELLED, { problem: toProblem(new PxmError('PXM_CANCELLED', { what: 'it' })) });
    } else if (fate === 'fails') failed(new PxmError('PXM_COMMAND_FAILED', { tool: 'pct', status: ' (1)' }));
    else if (fate === 'undone') failed(new PxmError('PXM_INTERNAL', {}), 'undone');
    else {
      try {
        effect();
        end(OPERATION_STATE_DONE);
      } catch (error) {
        failed(error);
      }
    }
  }

  async *#watch(uid: string, id: string, { afterSeq, signal }: WatchFrom): AsyncIterable<OperationEvent> {
    const agent = await this.#reach(uid);
    const kept = known(agent.kept.get(id), id);
    // The last event comes twice, as when a stream is taken up again.
    for (let next = Math.max(0, Number(afterSeq) - 1); !signal.aborted; ) {
      if (agent.isAway) throw unreachable(agent.name);
      const event = kept.events[next];
      if (event !== undefined) {
        next += 1;
        yield event;
      } else if (kept.operation.state !== OPERATION_STATE_RUNNING) return;
      else await Promise.race([kept.changed, this.#clock.sleep(10 * MINUTE_MS)]);
    }
  }

  #goAway(agent: Agent, ms: number): void {
    if (agent.isAway) return;
    agent.isAway = true;
    this.#hosts.fleet.setPresence(agent.name, 'down');
    void this.#clock.sleep(ms).then(() => {
      agent.isAway = false;
      this.#hosts.fleet.setPresence(agent.name, 'up');
    });
  }

  async #reach(uid: string): Promise<Agent> {
    const agent = this.#agent(uid);
    await this.#clock.sleep(this.#luck.pace());
    if (agent.isAway) throw unreachable(agent.name);
    return agent;
  }

  #agent(uid: string): Agent {
    const agent = this.#agents.get(uid);
    if (agent === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: uid });
    return agent;
  }

  /** When the inventory hears of what has just happened. */
  async #lag(uid: string): Promise<void> {
    await this.#clock.sleep(this.#luck.pace() * 50);
    while (this.#agent(uid).isAway) await this.#clock.sleep(MINUTE_MS);
  }

  #takeImage(uid: string): void {
    const value = ImageDocument.fromPartial({ digest: DIGEST });
    const key = { kind: 'image' as const, id: DIGEST };
    this.#hosts.fleet.put(inventoryObject(this.#agent(uid).name, key, { document: { $case: 'image', value } }));
  }
}

function newAgent(name: string): Agent {
  return { name, kept: new Map(), byKey: new Map(), fence: new Map(), queue: new Map(), isAway: false };
}

function newKept(operation: Operation): Kept {
  const kept: Kept = { operation, events: [], isCancelled: false, wake: () => undefined, changed: Promise.resolve() };
  return kept;
}

function say(kept: Kept): void {
  const seq = BigInt(kept.events.length + 1);
  const event = { $case: 'operation' as const, value: kept.operation };
  kept.events.push({ operationId: kept.operation.id, seq, at: new Date(0), step: 0, event });
  const { wake } = kept;
  kept.changed = new Promise((resolve) => {
    kept.wake = resolve;
  });
  wake();
}

function known(kept: Kept | undefined, operation: string): Kept {
  if (kept === undefined) throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation });
  return kept;
}

/** As the agent's own: per vmid, never back. */
function heedFence({ name, fence }: Agent, vmid: number, order: Order): void {
  const seen = fence.get(vmid);
  const isOld =
    seen !== undefined &&
    (order.fencingToken < seen.fencingToken ||
      (order.fencingToken === seen.fencingToken && order.planGeneration < seen.planGeneration));
  if (isOld) {
    const said = ({ planGeneration, fencingToken }: typeof seen): string => `${planGeneration} (token ${fencingToken})`;
    throw new PxmError('PXM_GENERATION_OLD', { node: name, seen: said(seen), generation: said(order) });
  }
  if (order.fencingToken > 0n) fence.set(vmid, order);
}

function unreachable(node: string): PxmError {
  return new PxmError('PXM_NODE_UNREACHABLE', { node });
}
