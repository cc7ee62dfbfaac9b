import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { type FactChange, unpackHoldings, unpackNode } from '../domain/facts.ts';
import type { PlacementPolicy } from '../domain/placement.ts';
import { type Holdings, NO_HOLDINGS } from '../domain/reservation.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import type { Database } from './open.ts';

/** Steps that follow each other. A base begins with everything and names the policy. */
export interface FactBatch {
  readonly position: number;
  readonly policy: PlacementPolicy | undefined;
  readonly steps: readonly (readonly FactChange[])[];
}

/** The fleet as a decision saw it. */
export interface StoredField {
  readonly policy: PlacementPolicy;
  readonly nodes: readonly NodeSnapshot[];
  readonly held: readonly Holdings[];
}

type Body = Omit<FactBatch, 'position'>;

/** Fast is enough: names and numbers of a step differ little from those of the step before. */
const LEVEL = 1;

/** The log of what the fleet looked like when something was decided. Positions only grow. */
export class FactStore {
  readonly #insert;
  readonly #last;
  readonly #until;
  readonly #prune;

  constructor({ sql }: Database) {
    this.#insert = sql.prepare('INSERT INTO placement_facts (position, steps, base, body) VALUES (?, ?, ?, ?)');
    this.#last = sql
      .prepare<[], number | null>('SELECT position + steps - 1 FROM placement_facts ORDER BY position DESC LIMIT 1')
      .pluck();
    this.#until = sql.prepare<[number, number], { position: number; body: Buffer }>(`
      SELECT position, body FROM placement_facts WHERE position <= ?
        AND position >= (SELECT max(position) FROM placement_facts WHERE base = 1 AND position <= ?)
      ORDER BY position`);
    this.#prune = sql.prepare(`
      DELETE FROM placement_facts WHERE position < (
        SELECT max(position) FROM placement_facts WHERE base = 1
          AND position <= ifnull((SELECT min(facts) FROM evaluation), 9e15))`);
  }

  insert({ position, ...body }: FactBatch): void {
    const bytes = deflateRawSync(JSON.stringify(body), { level: LEVEL });
    this.#insert.run(position, body.steps.length, body.policy === undefined ? 0 : 1, bytes);
  }

  /** Newest position; 0 before the first. */
  last(): number {
    return this.#last.get() ?? 0;
  }

  /** Undefined when the log does not reach back so far. */
  at(position: number): StoredField | undefined {
    let policy: PlacementPolicy | undefined;
    const nodes = new Map<string, NodeSnapshot>();
    const held = new Map<string, Holdings>();
    for (const row of this.#until.iterate(position, position)) {
      const body = JSON.parse(inflateRawSync(row.body).toString('utf8')) as Body;
      policy = body.policy ?? policy;
      for (const [index, step] of body.steps.entries()) {
        if (row.position + index > position) break;
        for (const change of step) {
          if (change[0] === 'node') nodes.set(change[1], unpackNode(change[2]));
          else held.set(change[1], unpackHoldings(change[2]));
        }
      }
    }
    if (policy === undefined) return undefined;
    return { policy, nodes: [...nodes.values()], held: [...nodes.keys()].map((uid) => held.get(uid) ?? NO_HOLDINGS) };
  }

  /** Removes what no explanation needs any more; returns the number of rows. */
  prune(): number {
    return this.#prune.run().changes;
  }
}
