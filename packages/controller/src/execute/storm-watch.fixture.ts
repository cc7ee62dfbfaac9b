/**
 * For tests: the rules of the ledger, checked against the union of what is promised (the rows), what is planned, and what
 * the hosts really have. Reads the database file over a connection of its own, with its own SQL and its own sums.
 */
import { isDeepStrictEqual } from 'node:util';
import { Operation } from '@pxmgr/contract/common';
import BetterSqlite from 'better-sqlite3';
import { GIB, uidOf } from '../domain/fleet.fixture.ts';
import { DEFAULT_POLICY } from '../domain/placement.ts';
import { LOCAL, type RealGuest, renderNode, SHARED, type StormHosts } from './storm-hosts.fixture.ts';

interface Promised {
  readonly id: string;
  readonly node: string;
  readonly scope: string;
  readonly vmid: number;
  readonly guestUid: string;
  readonly memoryBytes: number;
  readonly cores: number;
  readonly pools: ReadonlyMap<string, number>;
  readonly devices: readonly { device: string; vram: number; exclusive: number }[];
}

/** What one client was told. */
export interface Told {
  planId: string;
  operationId: string;
  /** Codes of refusals. */
  readonly refusals: string[];
  hasDestroyed: boolean;
}

/** A refusal before anything was done. */
const REFUSALS: ReadonlySet<string> = new Set([
  'PXM_PLACEMENT_INFEASIBLE',
  'PXM_VMID_TAKEN',
  'PXM_VMID_EXHAUSTED',
  'PXM_PLAN_STALE',
  'PXM_PLAN_NOT_OPEN',
  'PXM_NODE_DOWN',
  'PXM_NODE_UNREACHABLE',
  'PXM_GUEST_NOT_FOUND',
  'PXM_OPERATION_ENDED',
]);

/** An end after which nothing of the plan is there. */
const CLEAN_ENDS: ReadonlySet<string> = new Set([
  'PXM_VMID_TAKEN',
  'PXM_STORAGE_FULL',
  'PXM_GUEST_LOCKED',
  'PXM_GUEST_NOT_FOUND',
  'PXM_GUEST_FOREIGN',
  'PXM_COMMAND_FAILED',
  'PXM_NODE_UNREACHABLE',
  'PXM_INTERNAL',
  'PXM_CANCELLED',
]);

/** An end that may leave the guest, and says so. */
const LEFT_ENDS: ReadonlySet<string> = new Set(['PXM_CONFIRM_TIMEOUT', 'PXM_NOT_READY', 'PXM_UNDO_INCOMPLETE']);

export class StormWatch {
  readonly #hosts: StormHosts;
  readonly #sql: BetterSqlite.Database;
  readonly #statements;
  readonly #promised = new Map<string, Promised>();
  readonly #byGuest = new Map<string, Promised>();
  readonly #answers = new Set<string>();
  #lastRow = 0;
  #broken: Error | undefined;

  constructor(path: string, hosts: StormHosts) {
    this.#hosts = hosts;
    this.#sql = new BetterSqlite(path, { readonly: true });
    const ids = (from: string): BetterSqlite.Statement<[], string> => this.#sql.prepare<[], string>(from).pluck();
    this.#statements = {
      fresh: this.#sql.prepare<[number], Record<string, string | number>>(
        'SELECT rowid, * FROM reservation WHERE rowid > ? ORDER BY rowid',
      ),
      devices: this.#sql.prepare<[string], Promised['devices'][number]>(
        'SELECT device, vram_bytes AS vram, exclusive FROM reservation_device WHERE reservation_id = ?',
      ),
      active: ids("SELECT id FROM reservation WHERE state = 'active'"),
      planned: ids("SELECT reservation_id FROM plan WHERE state IN ('draft', 'applied') AND reservation_id <> ''"),
      open: ids(`
        SELECT id FROM reservation WHERE state = 'active'
        UNION ALL SELECT id FROM plan WHERE state IN ('draft', 'applied')
        UNION ALL SELECT id FROM operation WHERE state IN ('queued', 'running')`),
      held: ids("SELECT reservation_id FROM reservation_device WHERE state = 'held'"),
      settled: ids("SELECT reservation_id FROM reservation_device WHERE state = 'settled'"),
      known: ids('SELECT id FROM plan UNION ALL SELECT id FROM operation'),
      operation: this.#sql.prepare<[string], { state: string; body: Buffer }>(`
        SELECT operation.state, operation.body FROM operation JOIN plan ON plan.id = operation.plan_id
        WHERE plan.reservation_id = ?`),
    };
  }

  /** A client has been told of it: from now on it must be known. */
  promised(id: string): void {
    this.#answers.add(id);
  }

  /** After each commit and each effect on a host. Keeps what is wrong for `raise`: the caller may be code under test. */
  look(): void {
    try {
      const fresh = this.#read();
      const union = this.#union();
      for (const node of this.#hosts.names) this.#checkNode(node, union);
      this.#checkVmids(union);
      for (const one of fresh) this.#checkChoice(one, union);
    } catch (error) {
      this.#broken ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  raise(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  isOpen(): boolean {
    return this.#statements.open.get() !== undefined;
  }

  openThings(): string {
    return this.#statements.open.all().join(', ');
  }

  close(): void {
    this.#sql.close();
  }

  /** At the end, when nothing is open any more. */
  judge(told: readonly Told[], lost: ReadonlySet<string>): void {
    if (this.isOpen()) throw new Error(`not ended: ${this.openThings()}`);
    const known = new Set(this.#statements.known.all());
    for (const id of this.#answers) if (!known.has(id)) throw new Error(`${id} was promised and is not known`);
    for (const { refusals } of told)
      for (const code of refusals) if (!REFUSALS.has(code)) throw new Error(`a client was refused with ${code}`);
    this.#read();
    const destroyed = new Set(told.filter((one) => one.hasDestroyed).map((one) => one.planId));
    for (const one of this.#promised.values()) this.#judgeEnd(one, lost, destroyed);
    this.#judgeDevices();
  }

  #judgeEnd(one: Promised, lost: ReadonlySet<string>, destroyed: ReadonlySet<string>): void {
    const { planId, state, code } = this.#endOf(one);
    const isDone = state === 'done';
    const isThere = this.#guestOf(one) !== undefined;
    const mayBeThere = isDone || LEFT_ENDS.has(code);
    const isGone = lost.has(one.guestUid) || destroyed.has(planId);
    const said = `plan of ${one.guestUid} (${state} ${code})`;
    if (isDone && !isThere && !isGone) throw new Error(`${said}: the guest is not there`);
    if (isThere && !mayBeThere) throw new Error(`${said}: its guest is still there`);
    if (planId !== '' && !mayBeThere && !CLEAN_ENDS.has(code)) throw new Error(`${said}: an unexpected end`);
  }

  /** No plan id: it was never applied. */
  #endOf({ id }: Promised): { planId: string; state: string; code: string } {
    const row = this.#statements.operation.get(id);
    if (row === undefined) return { planId: '', state: 'never applied', code: '' };
    const { planId, problem } = Operation.decode(row.body);
    return { planId, state: row.state, code: problem?.code ?? '' };
  }

  #judgeDevices(): void {
    const held = this.#statements.held.all();
    if (held.length > 0) throw new Error(`devices are held by ended reservations: ${held.join(', ')}`);
    const settled = new Set(this.#statements.settled.all());
    const wanted = new Set(
      [...this.#promised.values()]
        .filter((one) => one.devices.length > 0 && this.#guestOf(one) !== undefined)
        .map(({ id }) => id),
    );
    if (!isDeepStrictEqual(settled, wanted))
      throw new Error(`devices belong to ${[...settled].join()}, guests with devices are ${[...wanted].join()}`);
  }

  #guestOf({ vmid, guestUid }: Promised): RealGuest | undefined {
    const guest = this.#hosts.guests.get(vmid);
    return guest?.guestUid === guestUid ? guest : undefined;
  }

  #read(): Promised[] {
    const fresh: Promised[] = [];
    for (const row of this.#statements.fresh.all(this.#lastRow)) {
      const pools = JSON.parse(String(row['pools'])) as { storage: string; bytes: number }[];
      const one: Promised = {
        id: String(row['id']),
        node: String(row['node_name']),
        scope: String(row['scope']),
        vmid: Number(row['vmid']),
        guestUid: String(row['guest_uid']),
        memoryBytes: Number(row['memory_bytes']),
        cores: Number(row['cpu_cores']),
        pools: new Map(pools.map(({ storage, bytes }) => [storage, bytes])),
        devices: this.#statements.devices.all(String(row['id'])),
      };
      this.#lastRow = Number(row['rowid']);
      this.#promised.set(one.id, one);
      this.#byGuest.set(one.guestUid, one);
      fresh.push(one);
    }
    return fresh;
  }

  /** Reserved, planned, or really there: each guest once. */
  #union(): Promised[] {
    const all = new Set<Promised>();
    for (const id of [...this.#statements.active.all(), ...this.#statements.planned.all()]) {
      const one = this.#promised.get(id);
      if (one === undefined) throw new Error(`reservation ${id} is not known`);
      all.add(one);
    }
    for (const { guestUid } of this.#hosts.guests.values()) {
      const one = this.#byGuest.get(guestUid);
      if (one === undefined && guestUid !== '') throw new Error(`guest ${guestUid} was never promised`);
      if (one !== undefined) all.add(one);
    }
    return [...all];
  }

  #checkNode(node: string, union: readonly Promised[]): void {
    const { memoryGib, cores, vramGib } = this.#hosts.sketch(node);
    const here = union.filter((one) => one.node === node);
    const atMost = (what: string, sum: number, limit: number): void => {
      if (sum > limit) throw new Error(`${node}: ${what} ${String(sum)} of ${String(limit)}`);
    };
    atMost(
      'memory',
      total(here, (one) => one.memoryBytes),
      memoryGib * GIB - DEFAULT_POLICY.hostMemoryBytes,
    );
    atMost(
      'cores',
      total(here, (one) => one.cores),
      cores * DEFAULT_POLICY.cpuOvercommit,
    );
    const pool = (id: string) => (one: Promised) => one.pools.get(id) ?? 0;
    atMost(LOCAL, total(here, pool(LOCAL)), Number(this.#hosts.poolBytes(node, LOCAL)));
    atMost(SHARED, total(union, pool(SHARED)), Number(this.#hosts.poolBytes(node, SHARED)));
    const held = new Map<string, { vram: number; exclusive: number; holders: number }>();
    for (const { device, vram, exclusive } of here.flatMap((one) => one.devices)) {
      const old = held.get(device) ?? { vram: 0, exclusive: 0, holders: 0 };
      held.set(device, { vram: old.vram + vram, exclusive: old.exclusive + exclusive, holders: old.holders + 1 });
    }
    for (const [device, { vram, exclusive, holders }] of held) {
      if (exclusive > 0 && holders > 1) throw new Error(`${node}: device ${device} is sold ${String(holders)} times`);
      if (exclusive > 0 && this.#users(device, here) > 1) throw new Error(`${node}: ${device} was to be had alone`);
      const card = vramGib[Number(device.charAt(6)) - 1] ?? 0;
      if (vram > 0) atMost(`VRAM of ${device}`, vram, card * GIB);
    }
  }

  /** Guests of ours that really have it. */
  #users(device: string, here: readonly Promised[]): number {
    const path = renderNode(device);
    return here.filter((one) => this.#guestOf(one)?.devices.includes(path) === true).length;
  }

  #checkVmids(union: readonly Promised[]): void {
    const seen = new Map<string, string>();
    for (const { scope, vmid, guestUid } of union) {
      const key = `${scope} ${String(vmid)}`;
      const other = seen.get(key);
      if (other !== undefined) throw new Error(`vmid ${String(vmid)} has two owners: ${other}, ${guestUid}`);
      seen.set(key, guestUid);
    }
  }

  /** A new promise must also respect what the inventory shows of guests that are not ours. */
  #checkChoice(one: Promised, union: readonly Promised[]): void {
    const { fleet } = this.#hosts;
    const foreign = fleet.guests(uidOf(one.node)).filter(({ guestUid }) => !this.#byGuest.has(guestUid));
    const ours = union.filter(({ node }) => node === one.node);
    const memory = total(ours, ({ memoryBytes }) => memoryBytes) + total(foreign, ({ memoryBytes }) => memoryBytes);
    const limit = this.#hosts.sketch(one.node).memoryGib * GIB - DEFAULT_POLICY.hostMemoryBytes;
    if (memory > limit) throw new Error(`${one.node}: ${one.guestUid} was placed over the memory of visible guests`);
    if (fleet.guestsByVmid(one.vmid).some(({ guestUid }) => guestUid !== one.guestUid))
      throw new Error(`vmid ${String(one.vmid)} was given although the inventory shows a guest with it`);
    for (const { device, exclusive } of one.devices) {
      const document = fleet.object(uidOf(one.node), 'gpu', device)?.document?.document;
      const users = document?.$case === 'gpu' ? document.value.usedBy : [];
      if (exclusive === 1 && users.length > 0)
        throw new Error(`${device} was sold as a whole while ${users.join()} use it`);
    }
  }
}

function total<T>(list: readonly T[], of: (one: T) => number): number {
  return list.reduce((sum, one) => sum + of(one), 0);
}
