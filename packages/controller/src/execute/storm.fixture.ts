/**
 * For tests: many clients place at once on a small fleet while the controller is killed and opened again. The controller
 * is the real one over a real database file; a kill drops its objects at a commit, an order or a wait, and what comes next
 * knows only what the file held. Everything that happens follows from the storm itself, so a failing one can be shrunk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasEnded } from '@pxmgr/contract';
import { FakeClock } from '@pxmgr/kit/clock';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import { gib } from '../domain/fleet.fixture.ts';
import { StormAgents } from './storm-agents.fixture.ts';
import { FIRST_CARD, LOCAL, StormHosts, USB } from './storm-hosts.fixture.ts';
import { freshFile, StormLives } from './storm-life.fixture.ts';
import { StormWatch, type Told } from './storm-watch.fixture.ts';
import type { Ask, Deed, Storm } from './storm-weather.fixture.ts';
import { request, webSpec } from './work.fixture.ts';

const MINUTE_MS = 60_000;
const SWEEP_MS = 5 * MINUTE_MS;
/** Far beyond the longest chain of outages. */
const PATIENCE_MS = 4 * 24 * 60 * MINUTE_MS;

export class StormWorld {
  readonly told: readonly Told[];
  readonly hosts: StormHosts;
  /** Guest uids that a person destroyed. */
  readonly lost = new Set<string>();
  readonly #storm: Storm;
  readonly #clock = new FakeClock();
  readonly #folder = mkdtempSync(join(tmpdir(), 'pxmgr-storm-'));
  readonly #path = freshFile(this.#folder);
  readonly #watch: StormWatch;
  readonly #lives: StormLives;
  #isOver = false;

  constructor(storm: Storm) {
    this.#storm = storm;
    this.told = storm.asks.map(() => ({ planId: '', operationId: '', refusals: [], hasDestroyed: false }));
    this.hosts = new StormHosts(storm.hosts, () => {
      this.#watch.look();
    });
    this.#watch = new StormWatch(this.#path, this.hosts);
    let [fates, paces] = [0, 0];
    const agents = new StormAgents(this.hosts, this.#clock, {
      fate: () => storm.fates[fates++] ?? 'well',
      pace: () => storm.paces[paces++ % storm.paces.length] ?? 1,
    });
    this.#lives = new StormLives({
      path: this.#path,
      fleet: this.hosts.fleet,
      door: agents.door,
      clock: this.#clock,
      lives: storm.lives,
      pauses: storm.paces,
      onCommit: () => {
        this.#watch.look();
      },
    });
  }

  get kills(): number {
    return this.#lives.kills;
  }

  /** Until everything has ended and nothing is promised any more. Throws what a rule was broken by. */
  async run(): Promise<void> {
    try {
      this.#lives.open();
      void this.#sweepNow();
      let isDone = false;
      const all = Promise.all(this.#everybody()).then(() => {
        isDone = true;
      });
      all.catch(() => undefined);
      const isBusy = (): boolean => !isDone || !this.#lives.isAlive || this.#watch.isOpen();
      for (let waited = 0; isBusy(); waited += MINUTE_MS) {
        if (waited > PATIENCE_MS) throw new Error(`it does not end: ${this.#watch.openThings()}`);
        await this.#clock.advance(MINUTE_MS);
        await Promise.race([all, Promise.resolve()]);
        this.#watch.raise();
      }
      // Everything has settled; what lags behind arrives, and time ends what only time ends.
      await this.#clock.advance(3 * 60 * MINUTE_MS);
      this.#watch.raise();
      this.#watch.judge(this.told, this.lost);
    } finally {
      this.#close();
    }
  }

  #everybody(): Promise<void>[] {
    const { asks, deeds, jumps } = this.#storm;
    return [
      ...asks.map((ask, index) => this.#client(ask, this.told[index] as Told)),
      ...deeds.map((deed) => this.#person(deed)),
      ...jumps.map(async ({ afterMs, byMs }) => {
        await this.#clock.sleep(afterMs);
        this.#clock.stepWall(byMs);
      }),
    ];
  }

  /** As a person at the command line: asks again when the controller was away, gives up when it says no. */
  async #client(ask: Ask, told: Told): Promise<void> {
    await this.#clock.sleep(ask.afterMs);
    try {
      const planned = await this.#lives.insist((work) => work.planner.planContainer(toRequest(ask, this.hosts)));
      if (planned === undefined) return;
      told.planId = planned.plan.id;
      this.#watch.promised(planned.plan.id);
      if (ask.then === 'forget') return;
      const operation = await this.#lives.insist((work) => work.executor.apply(planned.plan.id));
      if (operation === undefined) return;
      told.operationId = operation.id;
      this.#watch.promised(operation.id);
      await this.#follow(ask, told, planned.plan.vmid);
    } catch (error) {
      if (!isPxmError(error)) throw error;
      told.refusals.push(error.code);
    }
  }

  async #follow(ask: Ask, told: Told, vmid: number): Promise<void> {
    const { operationId } = told;
    if (ask.then === 'cancel') {
      await this.#clock.sleep(ask.afterMs);
      await this.#lives.call((work) => work.executor.cancel(operationId, 'operator:alice'));
    }
    if (ask.then !== 'destroy') return;
    for (let pause = 1000; ; pause = Math.min(2 * pause, 10 * MINUTE_MS)) {
      const record = await this.#lives.call((work) => work.records.operations.get(operationId));
      if (record !== undefined && hasEnded(record.state)) {
        if (record.state === 'done') await this.#destroy(told, vmid);
        return;
      }
      await this.#clock.sleep(pause);
    }
  }

  async #destroy(told: Told, vmid: number): Promise<void> {
    const guest = { key: String(vmid), node: '' };
    const action = { $case: 'destroy' as const, value: { guest, force: true } };
    const what = { action, dryRun: false, showCommands: false, actor: 'operator:alice' };
    const plan = await this.#lives.insist((work) => work.actions.plan(what));
    if (plan === undefined) return;
    const operation = await this.#lives.insist((work) => work.executor.apply(plan.id));
    told.hasDestroyed = operation !== undefined;
  }

  async #person({ afterMs, what, node, vmid }: Deed): Promise<void> {
    await this.#clock.sleep(afterMs);
    const { hosts } = this;
    const name = hosts.names[node % hosts.names.length] ?? '';
    const late = this.#clock.sleep(1000);
    try {
      if (what === 'destroy') {
        const [ours] = [...hosts.guests].filter(([, guest]) => guest.guestUid !== '');
        if (ours === undefined) return;
        this.lost.add(ours[1].guestUid);
        hosts.destroy(ours[1].node, ours[0]);
        hosts.publish(ours[1].node, ours[0], late);
        return;
      }
      const devices = { card: [FIRST_CARD], usb: [USB], guest: [], fill: [] }[what];
      const bytes = what === 'fill' ? hosts.freeBytes(name, LOCAL) : gib(1);
      const pools = new Map([[LOCAL, bytes]]);
      hosts.put(vmid, { node: name, guestUid: '', memoryBytes: gib(1), cores: 1, pools, devices, isRunning: true });
      hosts.publish(name, vmid, late);
    } catch (error) {
      // The person is refused as well.
      if (!isPxmError(error)) throw error;
    }
  }

  async #sweepNow(): Promise<void> {
    while (!this.#isOver) {
      await this.#lives.call((work) => work.sweep());
      await this.#clock.sleep(SWEEP_MS);
    }
  }

  #close(): void {
    this.#isOver = true;
    this.#lives.close();
    this.#watch.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function toRequest(ask: Ask, hosts: StormHosts): ReturnType<typeof request> {
  const { device, vramGib, vmid, start } = ask;
  const gpu = { count: 1, exclusive: device === 'whole gpu', vramBytes: gib(vramGib) };
  const paths = { card: [FIRST_CARD], usb: [USB], gpu: [], 'whole gpu': [], none: [] }[device];
  const spec = webSpec({
    memoryBytes: gib(ask.memoryGib),
    cores: ask.cores,
    rootfsBytes: gib(ask.rootfsGib),
    storage: ask.storage,
    devices: paths.map((path) => ({ path })),
    ...(device === 'gpu' || device === 'whole gpu' ? { gpu } : {}),
  });
  // A device named by its path is one of a certain node.
  const node = paths.length === 0 ? '' : (hosts.names[0] ?? '');
  return request({ spec, start, constraints: { node, excludeNodes: [], vmid } });
}
