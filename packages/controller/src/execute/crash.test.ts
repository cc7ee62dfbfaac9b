import { rmSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { AgentDoor } from '../plan/agent-door.ts';
import type { Database } from '../store/open.ts';
import { finish, type Incarnation, request, until, Workshop } from './work.fixture.ts';

let shop: Workshop;
afterEach(async () => {
  await shop.close();
});

type End = 'kill' | 'power cut';

/**
 * Ends the process at the n-th commit or agent call: the file is closed under it, so nothing more can be written. A power
 * cut takes back what was committed since the last synced commit, too.
 */
class Killer {
  #left: number;
  #file: Database | undefined;
  #synced: Buffer | undefined;
  readonly #end: End;

  constructor(after: number, end: End) {
    this.#left = after;
    this.#end = end;
  }

  get isDead(): boolean {
    return this.#file?.sql.open === false;
  }

  database = (file: Database): Database => {
    this.#file = file;
    this.#keep();
    const counted = (commit: Database['transaction'], isSynced: boolean): Database['transaction'] => {
      return (work) => {
        const isOuter = !file.sql.inTransaction;
        const result = commit(work);
        if (isOuter) this.#committed(isSynced);
        return result;
      };
    };
    return { ...file, transaction: counted(file.transaction, true), unsynced: counted(file.unsynced, false) };
  };

  #committed(isSynced: boolean): void {
    if (isSynced && !this.isDead) this.#keep();
    this.#tick();
  }

  #keep(): void {
    if (this.#end === 'power cut') this.#synced = this.#file?.sql.serialize();
  }

  /** Before and after each order: sent or not sent, answered or not heard. */
  door = (agents: AgentDoor): AgentDoor => {
    const around = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        this.#tick();
        const answer = await call(...args);
        this.#tick();
        return answer;
      };
    };
    return {
      ...agents,
      pullImage: around(agents.pullImage),
      createContainer: around(agents.createContainer),
      startContainer: around(agents.startContainer),
      destroyContainer: around(agents.destroyContainer),
    };
  };

  #tick(): void {
    this.#left -= 1;
    if (this.#left === 0) this.#die();
    if (this.#left <= 0) throw new Error('killed');
  }

  #die(): void {
    this.#file?.sql.close();
    if (this.#synced === undefined || this.#file === undefined) return;
    for (const suffix of ['-wal', '-shm']) rmSync(`${this.#file.path}${suffix}`, { force: true });
    writeFileSync(this.#file.path, this.#synced);
  }
}

/** Applies a plan in a process that is killed, then in one that lives. Undefined when the first one ended before its kill. */
async function withKill(after: number, end: End): Promise<{ second: Incarnation; operationId: string } | undefined> {
  const planned = shop.open();
  const { plan } = await planned.work.planner.planContainer(request());
  await planned.work.stop();
  planned.database.close();
  const killer = new Killer(after, end);
  const first = shop.open(killer);
  let operationId = '';
  try {
    operationId = first.work.executor.apply(plan.id).id;
  } catch {
    // Killed while it was accepting: the caller has no answer and asks again later.
  }
  await until(() => killer.isDead || first.work.executor.activeCount === 0);
  await first.work.executor.settled(operationId);
  if (!killer.isDead) return undefined;
  const second = shop.open();
  second.work.start();
  const open = second.work.records.operations.byPlan(plan.id);
  // Who was told that it is accepted can rely on it.
  if (operationId !== '') expect(open?.operation.id).toBe(operationId);
  return { second, operationId: open?.operation.id ?? second.work.executor.apply(plan.id).id };
}

/** Every moment is tried, on a machine that may be busy. */
const LIMIT_MS = 180_000;

describe.each<End>(['kill', 'power cut'])('a controller that ends by a %s', (end) => {
  it('goes on at the next start, whatever the moment, and nothing is done twice', { timeout: LIMIT_MS }, async () => {
    let kills = 0;
    for (let after = 1; ; after += 1) {
      shop = new Workshop([{ name: 'pve1' }]);
      await shop.listen();
      const killed = await withKill(after, end);
      const { effects, guests } = shop.agent('pve1');
      if (killed !== undefined) {
        const { work } = killed.second;
        const { record, events } = await finish(work, killed.operationId);
        expect({ after, state: record.state, problem: record.operation.problem }).toEqual({
          after,
          state: 'done',
          problem: undefined,
        });
        expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => BigInt(index + 1)));
        expect(work.records.reservations.active()).toEqual([]);
        kills += 1;
      }
      expect(effects).toEqual(['image.pull', 'container.create 100', 'container.start 100']);
      expect(guests.get(100)?.status).toBe('running');
      if (killed === undefined) break;
      await shop.close();
    }
    expect(kills).toBeGreaterThan(20);
  });

  it('finishes an undo that it had begun', { timeout: LIMIT_MS }, async () => {
    let kills = 0;
    for (let after = 1; ; after += 1) {
      shop = new Workshop([{ name: 'pve1' }]);
      await shop.listen();
      const problem = { code: 'PXM_START_FAILED', message: 'it did not start', hint: '', fields: {}, causes: [] };
      shop.agent('pve1').plan('container.start', { fails: problem });
      const killed = await withKill(after, end);
      if (killed !== undefined) {
        const { record } = await finish(killed.second.work, killed.operationId);
        expect({ after, state: record.state, code: record.operation.problem?.code }).toEqual({
          after,
          state: 'failed',
          code: 'PXM_START_FAILED',
        });
        expect(killed.second.work.records.plans.get(record.operation.planId)?.plan.state).toBe('undone');
        expect(killed.second.work.records.reservations.active()).toEqual([]);
        kills += 1;
      }
      expect(shop.agent('pve1').guests.size).toBe(0);
      expect(shop.agent('pve1').effects).toEqual(['image.pull', 'container.create 100', 'container.destroy 100']);
      if (killed === undefined) break;
      await shop.close();
    }
    expect(kills).toBeGreaterThan(20);
  });
});
