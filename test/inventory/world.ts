/** Runs one script on simulated time: two hosts with real agents, a bus that misbehaves, a controller that is killed. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InventoryKind } from '@pxmgr/contract';
import type { RepairSources } from '@pxmgr/controller/inventory/repair';
import { type Clock, FakeClock } from '@pxmgr/kit/clock';
import { SimAgent } from './agent.ts';
import { type MemberSpec, makeDatabase, SimController } from './controller.ts';
import { NODES, type Script, type Step } from './faults.ts';
import { SimStream } from './stream.ts';
import { hasConverged, judge, lines } from './witness.ts';

const MEMBERS: readonly MemberSpec[] = Array.from({ length: NODES }, (_, index) => ({
  uid: `n-${'abcdefgh'.charAt(index).repeat(16)}`,
  name: `pve${String(index + 1)}`,
}));

/** Rounds of the loops: 200 ms as the repair loop has it. */
const ROUND_MS = 200;
const HOUR_MS = 3_600_000;
/**
 * Bounds of the repair ladder after the last fault: a publisher may rest 10 s; a manifest comes 36 s later at most, and
 * once more after a first answer that did not help; 3 s of patience, 2 s between tries. What no watcher noticed is found
 * by the full look every 10 minutes.
 */
const LADDER_MS = 10_000 + 2 * 36_000 + 2 * (3_000 + 2_000);
const FULL_LOOK_MS = 600_000;

/** Memory where there is some: the stores sync what they write, and a disk would be all that is measured. */
function scratchFolder(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'pxmgr-inventory-'));
}

/** A database without objects, made once. */
export class Template {
  readonly folder = scratchFolder();
  readonly file = join(this.folder, 'template.db');

  constructor() {
    makeDatabase(this.file, new FakeClock(), MEMBERS);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

class World {
  readonly folder: string;
  readonly time = new FakeClock(new Date('2026-01-01T00:00:00Z'));
  readonly stream = new SimStream(() => this.time.monotonicMs());
  readonly agents: SimAgent[];
  readonly controller: SimController;
  readonly #skews = new Map<string, number>();
  #failingRepairs = 0;
  #isUnnoticed = false;

  constructor(template: Template) {
    this.folder = mkdtempSync(join(template.folder, 'run-'));
    const file = join(this.folder, 'controller.db');
    copyFileSync(template.file, file);
    this.agents = MEMBERS.map((member) => {
      const folder = join(this.folder, member.name);
      mkdirSync(folder);
      const onManifest = (uid: string, data: Uint8Array): void => {
        this.controller.takeManifest(uid, data);
      };
      return new SimAgent({ ...member, folder, stream: this.stream, clock: this.#clock(member.uid), onManifest });
    });
    this.controller = new SimController({
      file,
      stream: this.stream,
      clock: this.#clock('controller'),
      sources: this.#sources(),
    });
  }

  /** One time for all, but every machine has its own idea of the date. */
  #clock(side: string): Clock {
    return {
      now: () => new Date(this.time.now().getTime() + (this.#skews.get(side) ?? 0)),
      monotonicMs: () => this.time.monotonicMs(),
      sleep: (ms, signal) => this.time.sleep(ms, signal),
    };
  }

  #agentOf(uid: string): SimAgent {
    const agent = this.agents.find((one) => one.uid === uid);
    if (agent === undefined) throw new Error(`no agent ${uid}`);
    return agent;
  }

  #sources(): RepairSources {
    const mayFail = async (): Promise<void> => {
      this.#failingRepairs -= 1;
      await (this.#failingRepairs >= 0 ? Promise.reject(new Error('repair source away')) : Promise.resolve());
    };
    return {
      readSubjects: async (uid) => {
        await mayFail();
        return this.stream.ofNode(uid);
      },
      resync: async (uid, kinds: readonly InventoryKind[]) => {
        await mayFail();
        this.#agentOf(uid).resync(kinds);
      },
      readInventory: async (uid, kinds) => {
        await mayFail();
        return this.#agentOf(uid).inventory(kinds);
      },
    };
  }

  /** All loops have their turn, time goes on. */
  async round(ms: number): Promise<void> {
    this.stream.arrive();
    for (const agent of this.agents) await agent.turn(this.time.monotonicMs());
    this.controller.turn();
    if (this.controller.isDead) this.controller.restart();
    await this.time.advance(ms);
    if (this.controller.isDead) this.controller.restart();
  }

  async #wait(ms: number): Promise<void> {
    const end = this.time.monotonicMs() + ms;
    do await this.round(Math.min(ms > 5000 ? 1000 : ROUND_MS, end - this.time.monotonicMs()));
    while (this.time.monotonicMs() < end);
  }

  async play(step: Step): Promise<void> {
    if (step.do === 'wait') await this.#wait(step.ms);
    else if ('node' in step) await this.#playOnNode(step, this.agents[step.node] ?? this.#agentOf(''));
    else if (step.do === 'wipe-bus') await this.#wipeBus(step.isSent);
    else this.#playOnController(step);
  }

  #playOnController(step: Exclude<Step, { node: number } | { do: 'wait' | 'wipe-bus' }>): void {
    switch (step.do) {
      case 'controller-away':
        this.controller.isAway = step.isAway;
        return;
      case 'kill-controller':
        if (step.at === 'now') this.controller.restart();
        else this.controller.kill(step.at);
        return;
      case 'delivery-fates':
        this.controller.fates.add(step.fates);
        return;
      case 'repairs-fail':
        this.#failingRepairs = step.times;
        return;
      case 'step-clock':
        this.#stepClock(step.side, step.ms);
    }
  }

  async #wipeBus(isSent: boolean): Promise<void> {
    if (isSent) for (const agent of this.agents) await agent.turn(this.time.monotonicMs());
    this.stream.wipe();
  }

  #stepClock(side: 'controller' | number, ms: number): void {
    const name = side === 'controller' ? side : (MEMBERS[side]?.uid ?? '');
    this.#skews.set(name, (this.#skews.get(name) ?? 0) + ms);
  }

  async #playOnNode(step: Extract<Step, { node: number }>, agent: SimAgent): Promise<void> {
    switch (step.do) {
      case 'change':
      case 'remove':
        agent.set(step.kind, step.id, step.do === 'change' ? step.value : undefined);
        if (step.noticed) await agent.notice(step.kind, step.id);
        else this.#isUnnoticed = true;
        return;
      case 'restart-agent':
        for (const { kind, id, value } of step.meanwhile) agent.set(kind, id, value);
        if (step.failing !== undefined) agent.failReading(step.failing, 1);
        agent.restart(step.tornBytes);
        this.#isUnnoticed = true;
        return;
      case 'cut-agent':
        agent.isOnline = step.isOnline;
        return;
      case 'day-away':
        await this.#dayAway(agent, step.changes);
        return;
      case 'source-fails':
        agent.failReading(step.kind, step.times);
        this.#isUnnoticed = true;
        return;
      case 'publish-fates':
        agent.fates.add(step.fates);
    }
  }

  async #dayAway(agent: SimAgent, changes: number): Promise<void> {
    agent.isOnline = false;
    for (let hour = 0; hour < 24; hour += 1) {
      if (hour < changes) {
        agent.set('container', '101', 100 + hour);
        await agent.notice('container', '101');
      }
      await this.round(HOUR_MS);
      await this.controller.hourly();
    }
    agent.isOnline = true;
  }

  /** Until nobody has anything left to send, and a turn more for the reader. */
  async untilSent(): Promise<void> {
    for (let rounds = 0; rounds === 0 || this.agents.some((agent) => !agent.isIdle); rounds += 1) {
      if (rounds > 200) throw new Error('the agents never came to rest');
      await this.round(ROUND_MS);
    }
    await this.round(ROUND_MS);
  }

  heal(): void {
    for (const agent of this.agents) agent.heal();
    this.controller.heal();
    this.#failingRepairs = 0;
  }

  agrees(): boolean {
    return this.agents.every((agent) => hasConverged(agent, this.controller));
  }

  /** Runs until everything agrees, and a little longer: it must stay so. */
  async converge(): Promise<string[]> {
    const start = this.time.monotonicMs();
    const boundMs = LADDER_MS + (this.#isUnnoticed ? FULL_LOOK_MS : 0);
    while (!this.agrees()) {
      if (this.time.monotonicMs() - start > boundMs) return [this.#difference(boundMs)];
      await this.round(this.#isUnnoticed ? 5000 : 1000);
    }
    for (let round = 0; round < 4; round += 1) await this.round(20_000);
    return this.agrees() ? [] : [`once it agreed, and then no more:\n${this.#difference(boundMs)}`];
  }

  #difference(boundMs: number): string {
    const parts = this.agents.map((agent) => {
      const at = this.controller.position(agent.uid);
      const [is, shown] = [lines(agent.truth()), lines(this.controller.view(agent.uid, ['container', 'storage']))];
      return `host:\n${is}\nshown:\n${shown}\nagent at ${show(agent.position)}, controller at ${show(at)}`;
    });
    return `not the truth after ${String(boundMs)} ms\n${parts.join('\n')}`;
  }

  /** What the history says against what was. */
  judge(isExact: boolean): string[] {
    const history = this.controller.history();
    return this.agents.flatMap((agent) => judge({ agent, controller: this.controller, history, isExact }));
  }

  gapRows(): string[] {
    return this.controller
      .history()
      .filter((row) => row.action === 'gap')
      .map((row) => row.summary);
  }

  close(): void {
    this.controller.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function show(position: { generation: bigint; revision: bigint } | undefined): string {
  return position === undefined ? 'nowhere' : `${String(position.generation)}/${String(position.revision)}`;
}

export interface Outcome {
  /** Empty when everything holds. */
  readonly problems: readonly string[];
  readonly gaps: readonly string[];
}

/** Plays the script, heals everything, and says what does not hold. `everyChangeSent`: a turn after each step. */
export async function runScript(template: Template, script: Script, everyChangeSent = false): Promise<Outcome> {
  const world = new World(template);
  try {
    await world.untilSent();
    for (const step of script) {
      await world.play(step);
      if (everyChangeSent) await world.untilSent();
    }
    world.heal();
    const problems = await world.converge();
    return { problems: problems.length > 0 ? problems : world.judge(everyChangeSent), gaps: world.gapRows() };
  } finally {
    world.close();
  }
}
