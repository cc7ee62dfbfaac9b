/**
 * For tests: an agent in this process that speaks the real protocol over a UNIX socket. Its operations, guests and images
 * outlive `stop` and `listen`, as a journal would; nothing is really run.
 */
import { CHANGE_KINDS } from '@pxmgr/contract';
import {
  type CreateContainerRequest,
  GuestServiceService,
  ImageServiceService,
  OperationServiceService,
  ResolveImageResponse,
} from '@pxmgr/contract/agent';
import {
  ContainerDocument,
  type HostCommand,
  ImageDocument,
  Operation,
  type OperationEvent,
  OperationState,
  type Order,
  type Problem,
} from '@pxmgr/contract/common';
import { createSequentialIds } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toProblem } from '@pxmgr/kit/error/to-problem';
import { silentLogger } from '@pxmgr/kit/log/logger';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { createRpcServer, type RpcServer } from '@pxmgr/kit/rpc/server';
import { inventoryObject, type SketchedFleet, uidOf } from '../domain/fleet.fixture.ts';
import { changed, changedLater, deviceAt } from './changed-guest.fixture.ts';

/** What becomes of the next operation of a kind. */
export type Fate =
  | 'done'
  /** Stays running until `letGo`. */
  | 'held'
  /** The agent crashed, and undid it. */
  | 'undone'
  | { readonly fails: Problem }
  /** The order itself is answered with this. */
  | { readonly refuses: PxmError };

type Outcome = Exclude<Fate, 'held' | { refuses: PxmError }>;

interface Kept {
  operation: Operation;
  readonly events: OperationEvent[];
  readonly effect: () => void;
  readonly waiting: Set<() => void>;
}

/** What throws becomes a refusal, as in an async handler. */
function later<T>(make: () => T): Promise<T> {
  return Promise.resolve().then(make);
}

export const DIGEST = `sha256:${'a'.repeat(64)}`;

export class PlayedAgent {
  readonly uid: string;
  readonly name: string;
  readonly guests = new Map<number, ContainerDocument>();
  readonly images = new Set<string>();
  /** "container.create 100", in the order in which they took effect. */
  readonly effects: string[] = [];
  readonly orders: Order[] = [];
  /** Volumes that images declare. */
  volumes: string[] = [];
  /** Whether the inventory hears of what is done. */
  publishes = true;
  /** What is set of a guest comes with its next start. */
  letsWait = false;
  readonly #fleet: SketchedFleet;
  readonly #ids = createSequentialIds();
  readonly #kept = new Map<string, Kept>();
  readonly #byKey = new Map<string, string>();
  readonly #fates = new Map<string, Fate[]>();
  #server: RpcServer | undefined;
  #dryRefusal: PxmError | undefined;

  constructor(name: string, fleet: SketchedFleet) {
    this.name = name;
    this.uid = uidOf(name);
    this.#fleet = fleet;
  }

  /** Decides what becomes of the next operations of this kind; after them all end well. */
  plan(kind: string, ...fates: Fate[]): void {
    this.#fates.set(kind, fates);
  }

  /** What dry runs are answered with from here on. */
  answerDryRuns(refusal: PxmError): void {
    this.#dryRefusal = refusal;
  }

  async listen(path: string): Promise<void> {
    this.#server = createRpcServer({ logger: silentLogger(), program: 'pxmgr-agent' })
      .addService(ImageServiceService, this.#imageService())
      .addService(GuestServiceService, this.#guestService())
      .addService(OperationServiceService, this.#operationService());
    await this.#server.listenUnix(path);
  }

  async stop(): Promise<void> {
    await this.#server?.stop(0);
    this.#server = undefined;
  }

  /** Ends the held operations of a kind. */
  letGo(kind: string, fate: Outcome = 'done'): void {
    for (const kept of this.#kept.values()) {
      if (kept.operation.kind === kind && kept.operation.state === OperationState.OPERATION_STATE_RUNNING)
        this.#end(kept, fate);
    }
  }

  /** Running operations of a kind. */
  running(kind: string): number {
    return [...this.#kept.values()].filter(
      ({ operation }) => operation.kind === kind && operation.state === OperationState.OPERATION_STATE_RUNNING,
    ).length;
  }

  #start(kind: string, order: Order | undefined, work: { vmid?: number; effect: () => void }): Answer {
    const commands: HostCommand[] = [{ argv: ['tool', kind, String(work.vmid ?? 0)], purpose: kind, internal: false }];
    if (order === undefined) throw new Error('an order is needed');
    if (order.dryRun) return this.#dryAnswer(commands);
    this.orders.push(order);
    const known = this.#byKey.get(order.idempotencyKey);
    if (known !== undefined) return { operation: this.#get(known).operation, commands };
    const fate = this.#fates.get(kind)?.shift() ?? 'done';
    if (typeof fate === 'object' && 'refuses' in fate) throw fate.refuses;
    const operation = Operation.fromPartial({
      id: this.#ids.operationId(),
      kind,
      title: `${kind} ${work.vmid ?? ''}`,
      state: OperationState.OPERATION_STATE_RUNNING,
      idempotencyKey: order.idempotencyKey,
      steps: [{ index: 1, name: kind, title: `agent does ${kind}`, state: OperationState.OPERATION_STATE_RUNNING }],
    });
    const kept: Kept = { operation, events: [], effect: work.effect, waiting: new Set() };
    this.#kept.set(operation.id, kept);
    this.#byKey.set(order.idempotencyKey, operation.id);
    this.#say(kept, { $case: 'operation', value: operation });
    const [step] = operation.steps;
    if (step !== undefined) this.#say(kept, { $case: 'stepChanged', value: step });
    this.#say(kept, { $case: 'log', value: { stream: 'out', text: `${kind} is under way` } });
    if (fate !== 'held') setImmediate(() => this.#end(kept, fate));
    return { operation, commands };
  }

  #dryAnswer(commands: HostCommand[]): Answer {
    if (this.#dryRefusal !== undefined) throw this.#dryRefusal;
    return { operation: undefined, commands };
  }

  #end(kept: Kept, fate: Outcome | 'cancelled'): void {
    const { operation } = kept;
    const ended = { ...operation, steps: [], endedAt: new Date(0) };
    if (fate === 'done') {
      try {
        kept.effect();
        kept.operation = { ...ended, state: OperationState.OPERATION_STATE_DONE };
      } catch (error) {
        kept.operation = { ...ended, state: OperationState.OPERATION_STATE_FAILED, problem: toProblem(error) };
      }
    } else if (fate === 'cancelled') {
      const problem = toProblem(new PxmError('PXM_CANCELLED', { what: operation.title }));
      kept.operation = { ...ended, state: OperationState.OPERATION_STATE_CANCELLED, problem };
    } else {
      const crash = new PxmError('PXM_INTERNAL', {}, { detail: 'the agent was restarted' });
      const problem = typeof fate === 'object' ? fate.fails : toProblem(crash);
      const recovery = fate === 'undone' ? 'undone' : '';
      kept.operation = { ...ended, state: OperationState.OPERATION_STATE_FAILED, problem, recovery };
    }
    this.#say(kept, { $case: 'operation', value: kept.operation });
  }

  #say(kept: Kept, event: OperationEvent['event']): void {
    const seq = BigInt(kept.events.length + 1);
    kept.events.push({ operationId: kept.operation.id, seq, at: new Date(0), step: 0, event });
    for (const wake of kept.waiting) wake();
    kept.waiting.clear();
  }

  #get(id: string): Kept {
    const kept = this.#kept.get(id);
    if (kept === undefined) throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation: id });
    return kept;
  }

  #imageService(): Implementation<typeof ImageServiceService> {
    return {
      resolveImage: ({ reference, platform }) =>
        later(() =>
          ResolveImageResponse.fromPartial({
            image: {
              reference,
              digest: DIGEST,
              platform: platform === '' ? 'linux/amd64' : platform,
              sizeBytes: 100_000_000n,
            },
            config: { volumes: this.volumes },
          }),
        ),
      pullImage: ({ order, image }) =>
        later(() =>
          this.#start('image.pull', order, {
            effect: () => {
              const digest = image?.digest ?? '';
              this.effects.push('image.pull');
              this.images.add(digest);
              const value = ImageDocument.fromPartial({ digest });
              if (this.publishes)
                this.#fleet.put(
                  inventoryObject(this.name, { kind: 'image', id: digest }, { document: { $case: 'image', value } }),
                );
            },
          }),
        ),
      listImages: () => Promise.resolve({ images: [] }),
    };
  }

  #guestService(): Implementation<typeof GuestServiceService> {
    const on =
      (kind: string, effect: (vmid: number, request: GuestOrder) => void) =>
      (request: GuestOrder): Promise<Answer> => {
        const { vmid, order } = request;
        const work = (): void => {
          effect(vmid, request);
          this.effects.push(`${kind} ${vmid}`);
        };
        return later(() => this.#start(kind, order, { vmid, effect: work }));
      };
    const turn = (status: string) => (vmid: number) => {
      this.#set(vmid, { status });
    };
    return {
      listGuests: () => Promise.resolve({ containers: [...this.guests.values()], vms: [] }),
      getGuest: ({ vmid }) => later(() => ({ container: this.#guest(vmid) })),
      createContainer: on('container.create', (vmid, { guestUid, spec }) => {
        const devices = (spec?.devices ?? []).map(({ path }) => deviceAt(path));
        this.#add(vmid, { guestUid, name: spec?.name ?? '', memoryBytes: spec?.memoryBytes ?? 0n, devices });
      }),
      cloneContainer: ({ source, name, ...order }) =>
        on('container.clone', (vmid, { guestUid }) => {
          const { memoryBytes, cores } = this.#guest(source?.vmid ?? 0);
          this.#add(vmid, { guestUid, name, memoryBytes, cores });
        })(order),
      startContainer: on('container.start', turn('running')),
      shutdownContainer: on('container.shutdown', turn('stopped')),
      stopContainer: on('container.stop', turn('stopped')),
      destroyContainer: on('container.destroy', (vmid, { guestUid }) => {
        const guest = this.#guest(vmid);
        if (guestUid !== '' && guest.guestUid !== guestUid) {
          throw new PxmError('PXM_GUEST_FOREIGN', {
            vmid: String(vmid),
            node: this.name,
            expected: guestUid,
            found: guest.guestUid,
          });
        }
        this.guests.delete(vmid);
        if (this.publishes) this.#fleet.remove(this.uid, 'container', String(vmid));
      }),
      changeContainer: (request) => {
        const change = request.change?.change;
        if (change === undefined) throw new Error('a change is needed');
        return on(CHANGE_KINDS[change.$case], (vmid) => {
          this.#set(vmid, (this.letsWait ? changedLater : changed)(this.#guest(vmid), change));
        })(request);
      },
      execContainer: () => Promise.resolve(),
    };
  }

  #guest(vmid: number): ContainerDocument {
    const guest = this.guests.get(vmid);
    if (guest === undefined)
      throw new PxmError('PXM_GUEST_NOT_FOUND', { guest: String(vmid), where: ` on ${this.name}` });
    return guest;
  }

  #add(vmid: number, part: Partial<ContainerDocument>): void {
    if (this.guests.has(vmid)) throw new PxmError('PXM_VMID_TAKEN', { vmid: String(vmid), owner: 'another' });
    this.#set(vmid, { vmid, status: 'stopped', ...part });
  }

  #set(vmid: number, part: Partial<ContainerDocument>): void {
    const value = ContainerDocument.fromPartial({ ...this.guests.get(vmid), ...part });
    this.guests.set(vmid, value);
    if (this.publishes) this.publish(vmid);
  }

  /** Lets the inventory see the guest. */
  publish(vmid: number): void {
    const document = { document: { $case: 'container' as const, value: this.#guest(vmid) } };
    this.#fleet.put(inventoryObject(this.name, { kind: 'container', id: String(vmid) }, document));
  }

  #operationService(): Implementation<typeof OperationServiceService> {
    return {
      getOperation: ({ key }) =>
        later(() => {
          const id = key?.$case === 'id' ? key.value : this.#byKey.get(key?.value ?? '');
          return { operation: this.#get(id ?? '').operation };
        }),
      listOperations: () => Promise.resolve({ operations: [] }),
      watchOperation: async ({ id, afterSeq }, { signal }, write) => {
        const kept = this.#get(id);
        let next = Number(afterSeq);
        while (!signal.aborted) {
          const event = kept.events[next];
          if (event !== undefined) {
            await write({ event });
            next += 1;
          } else if (kept.operation.state !== OperationState.OPERATION_STATE_RUNNING) return;
          else
            await new Promise<void>((resolve) => {
              kept.waiting.add(resolve);
              signal.addEventListener('abort', () => resolve(), { once: true });
            });
        }
      },
      cancelOperation: ({ id }) =>
        later(() => {
          const kept = this.#get(id);
          if (kept.operation.state === OperationState.OPERATION_STATE_RUNNING) this.#end(kept, 'cancelled');
          return { operation: kept.operation };
        }),
    };
  }
}

interface Answer {
  readonly operation: Operation | undefined;
  readonly commands: HostCommand[];
}

/** What the orders for guests have in common, and what the create has beyond that. */
type GuestOrder = Pick<CreateContainerRequest, 'vmid' | 'order' | 'guestUid'> &
  Partial<Pick<CreateContainerRequest, 'spec'>>;
