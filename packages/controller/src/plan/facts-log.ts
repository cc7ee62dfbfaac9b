/** Takes note of what the fleet looked like at each decision: a whole picture now and then, between them what changed. */
import { type FactChange, packHoldings, packNode } from '../domain/facts.ts';
import { NO_HOLDINGS } from '../domain/reservation.ts';
import type { Columns } from '../schedule/columns.ts';
import type { FactBatch, FactStore } from '../store/facts.ts';
import type { Field, FieldChanges } from './field.ts';

/** A new whole picture after so many changes: an explanation has to read all of them. */
const CHANGES_MIN = 20_000;
const CHANGES_PER_NODE = 8;

export class FactsLog {
  readonly #store: FactStore;
  readonly #field: Field;
  #position = 0;
  #changes = 0;
  #needsBase = true;
  /** As it was when the transaction began. */
  #before = { position: 0, changes: 0, needsBase: true };
  /** What was noted in the transaction. */
  #noted: FieldChanges[] = [];
  #batches: FactBatch[] = [];
  #steps: FactChange[][] = [];

  constructor(store: FactStore, field: Field) {
    this.#store = store;
    this.#field = field;
  }

  /** At the start of each transaction with decisions in it. */
  begin(): void {
    this.#batches = [];
    this.#steps = [];
    const last = this.#store.last();
    // Somebody else wrote: a controller that took over, or this one in an earlier life.
    if (last !== this.#position) this.#needsBase = true;
    this.#position = last;
    this.#before = { position: last, changes: this.#changes, needsBase: this.#needsBase };
    this.#noted = [];
  }

  /** Place in the log of the fleet as it is now. */
  mark(): number {
    const columns = this.#field.settle();
    const changes = this.#field.takeChanges();
    this.#noted.push(changes);
    const { everything, nodes, held } = changes;
    if (this.#needsBase || everything || this.#isLong(columns)) {
      // Steps before the picture are still needed by decisions of this transaction.
      this.#closeBatch();
      this.#position += 1;
      this.#batches.push({ position: this.#position, policy: columns.policy, steps: [picture(columns)] });
      this.#needsBase = false;
      this.#changes = 0;
    } else if (nodes.size > 0 || held.size > 0) {
      this.#steps.push(step(columns, nodes, held));
      this.#position += 1;
      this.#changes += nodes.size + held.size;
    }
    return this.#position;
  }

  /** Before the commit. Not inside a job's own part: what others refer to must not be taken back with it. */
  flush(): void {
    this.#closeBatch();
    for (const batch of this.#batches) this.#store.insert(batch);
    this.#batches = [];
  }

  /** The transaction was taken back, and what it noted with it. */
  undone(): void {
    ({ position: this.#position, changes: this.#changes, needsBase: this.#needsBase } = this.#before);
    for (const changes of this.#noted) this.#field.giveBack(changes);
  }

  /** The transaction did not become durable. */
  lost(): void {
    this.#needsBase = true;
  }

  #isLong({ nodes }: Columns): boolean {
    return this.#changes > Math.max(CHANGES_MIN, CHANGES_PER_NODE * nodes.length);
  }

  #closeBatch(): void {
    const steps = this.#steps;
    if (steps.length === 0) return;
    this.#batches.push({ position: this.#position - steps.length + 1, policy: undefined, steps });
    this.#steps = [];
  }
}

function picture({ nodes, held }: Columns): FactChange[] {
  const changes: FactChange[] = [];
  nodes.forEach((node, slot) => {
    changes.push(['node', node.uid, packNode(node)]);
    const promised = held.get(slot) ?? NO_HOLDINGS;
    if (promised !== NO_HOLDINGS) changes.push(['held', node.uid, packHoldings(promised)]);
  });
  return changes;
}

function step(columns: Columns, nodes: ReadonlySet<number>, held: ReadonlySet<number>): FactChange[] {
  const changes: FactChange[] = [];
  for (const slot of nodes) {
    const node = columns.nodes[slot];
    if (node !== undefined) changes.push(['node', node.uid, packNode(node)]);
  }
  for (const slot of held) {
    const uid = columns.nodes[slot]?.uid ?? '';
    changes.push(['held', uid, packHoldings(columns.held.get(slot) ?? NO_HOLDINGS)]);
  }
  return changes;
}
