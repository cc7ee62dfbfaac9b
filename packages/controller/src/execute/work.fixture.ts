/** For tests: a whole work room over a database file, a sketched fleet and played agents on UNIX sockets. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasEnded } from '@pxmgr/contract';
import { ContainerSpec, type OperationEvent, type Problem } from '@pxmgr/contract/common';
import type { Plan } from '@pxmgr/contract/controller';
import { createIdSource, systemClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { onTestFinished } from 'vitest';
import { type NodeSketch, SketchedFleet } from '../domain/fleet.fixture.ts';
import { DEFAULT_POLICY } from '../domain/placement.ts';
import type { AgentDoor } from '../plan/agent-door.ts';
import type { ContainerRequest } from '../plan/planner.ts';
import { type Database, openDatabase } from '../store/open.ts';
import type { OperationRecord } from '../store/operations.ts';
import { createSeal, SEAL_KEY_BYTES } from '../store/seal.ts';
import { PlayedAgent } from './agent.fixture.ts';
import { SocketLines } from './agent-lines.fixture.ts';
import { createGrpcAgents } from './grpc-agents.ts';
import { DEFAULT_LIMITS, type ExecuteLimits } from './run-context.ts';
import { watchOperation } from './watch.ts';
import { buildWork, type Work } from './work.ts';

const LIMITS: ExecuteLimits = { ...DEFAULT_LIMITS, retryMinMs: 5, retryMaxMs: 20, silenceMs: 5000, confirmMs: 5000 };

export interface Incarnation {
  readonly work: Work;
  readonly database: Database;
}

/** One test's world; `open` may be called again after a kill, on the same database. */
export class Workshop {
  readonly fleet: SketchedFleet;
  readonly agents = new Map<string, PlayedAgent>();
  readonly #seal = createSeal(randomBytes(SEAL_KEY_BYTES));
  readonly #folder: string;
  readonly #lines = new SocketLines();
  readonly #open: Incarnation[] = [];

  constructor(sketches: readonly NodeSketch[], parent = tmpdir()) {
    this.#folder = mkdtempSync(join(parent, 'pxmgr-work-'));
    this.fleet = new SketchedFleet(sketches);
    for (const { name } of sketches) {
      const agent = new PlayedAgent(name, this.fleet);
      for (const { document } of this.fleet.objects('container', this.fleet.node(name)?.uid))
        if (document?.document?.$case === 'container')
          agent.guests.set(document.document.value.vmid, document.document.value);
      this.agents.set(name, agent);
      this.#lines.add(agent, this.#socket(name));
    }
  }

  agent(name: string): PlayedAgent {
    const agent = this.agents.get(name);
    if (agent === undefined) throw new Error(`no agent ${name}`);
    return agent;
  }

  async listen(...names: string[]): Promise<void> {
    for (const name of names.length === 0 ? this.agents.keys() : names)
      await this.agent(name).listen(this.#socket(name));
  }

  /** `door` may stand between execution and the agents, `limits` replaces some of them. */
  open(
    change: {
      limits?: Partial<ExecuteLimits>;
      door?: (agents: AgentDoor) => AgentDoor;
      database?: (database: Database) => Database;
    } = {},
  ): Incarnation {
    const file = openDatabase(join(this.#folder, 'controller.db'));
    const database = change.database?.(file) ?? file;
    const agents = createGrpcAgents(this.#lines);
    const work = buildWork({
      database,
      seal: this.#seal,
      view: this.fleet,
      agents: change.door?.(agents) ?? agents,
      clock: systemClock,
      ids: createIdSource(),
      logger: silentLogger(),
      policy: DEFAULT_POLICY,
      vmids: { first: 100, last: 999 },
      planTtlMs: 60_000,
      keepMs: 3_600_000,
      limits: { ...LIMITS, ...change.limits },
    });
    const incarnation = { work, database: file };
    this.#open.push(incarnation);
    return incarnation;
  }

  async close(): Promise<void> {
    for (const { work, database } of this.#open) {
      await work.stop();
      database.close();
    }
    for (const agent of this.agents.values()) await agent.stop();
    this.#lines.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #socket(name: string): string {
    return join(this.#folder, `${name}.sock`);
  }
}

/** One whose agents listen, and which is gone with the test. */
export async function workshop(sketches: readonly NodeSketch[], parent?: string): Promise<Workshop> {
  const shop = new Workshop(sketches, parent);
  onTestFinished(() => shop.close());
  await shop.listen();
  return shop;
}

export function webSpec(part: Parameters<typeof ContainerSpec.fromPartial>[0] = {}): ContainerSpec {
  return ContainerSpec.fromPartial({
    name: 'web',
    source: { $case: 'image', value: { reference: 'docker.io/library/nginx:1.27' } },
    networks: [{ name: 'eth0', bridge: 'vmbr0', ipv4: 'dhcp' }],
    ...part,
  });
}

export function request(part: Partial<ContainerRequest> = {}): ContainerRequest {
  const constraints = { node: '', excludeNodes: [], vmid: 0 };
  return {
    spec: webSpec(),
    constraints,
    start: true,
    dryRun: false,
    showCommands: false,
    actor: 'operator:alice',
    ...part,
  };
}

/** Plans a container and begins to make it. */
export async function begin(work: Work, part: Partial<ContainerRequest> = {}): Promise<{ plan: Plan; id: string }> {
  const { plan } = await work.planner.planContainer(request(part));
  return { plan, id: work.executor.apply(plan.id).id };
}

/** What an agent says of a step that failed. */
export function failure(code: string): Problem {
  return { code, message: `it failed with ${code}`, hint: '', fields: {}, causes: [] };
}

/** Only what never happens reaches it, however slow the machine is. */
const PATIENCE_MS = 20_000;

/** Follows the operation to its end and returns it with all its events. */
export async function finish(work: Work, id: string): Promise<{ record: OperationRecord; events: OperationEvent[] }> {
  const events: OperationEvent[] = [];
  const signal = AbortSignal.timeout(PATIENCE_MS);
  for await (const event of watchOperation(work, id, { afterSeq: 0n, signal })) events.push(event);
  await work.executor.settled(id);
  const record = work.records.operations.get(id);
  if (record === undefined || !hasEnded(record.state))
    throw new Error(`operation ${id} did not end: ${record?.state ?? 'unknown'}`);
  return { record, events };
}

/** Waits for a condition, with a limit. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > end) throw new Error('it did not happen in time');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
