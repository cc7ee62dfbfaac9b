/** Sets of nodes as bits: for each fact that was asked about lately, which nodes have it. Kept up to date node by node. */
import type { NodeSnapshot } from '../domain/snapshot.ts';

export type Fact = (node: NodeSnapshot) => boolean;

interface Column {
  readonly bits: Uint32Array;
  readonly has: Fact;
}

/** More facts than this are not remembered: wishes of one fleet ask about a few dozen. */
const COLUMNS_MAX = 256;

export class FactBits {
  readonly #nodes: readonly NodeSnapshot[];
  readonly #columns = new Map<string, Column>();

  /** `nodes` is the table's own list; it is read again at each `set`. */
  constructor(nodes: readonly NodeSnapshot[]) {
    this.#nodes = nodes;
  }

  /** The nodes that have the fact; `key` stands for `has`. Not to be changed by the caller. */
  of(key: string, has: Fact): Uint32Array {
    const known = this.#columns.get(key);
    if (known !== undefined) return known.bits;
    if (this.#columns.size >= COLUMNS_MAX) this.#columns.clear();
    const bits = new Uint32Array(Math.ceil(this.#nodes.length / 32));
    this.#nodes.forEach((node, slot) => {
      if (has(node)) setBit(bits, slot, true);
    });
    this.#columns.set(key, { bits, has });
    return bits;
  }

  /** The node in this slot is another one now. */
  set(slot: number): void {
    const node = this.#nodes[slot];
    if (node === undefined) return;
    for (const { bits, has } of this.#columns.values()) setBit(bits, slot, has(node));
  }
}

export function allBits(size: number): Uint32Array {
  const bits = new Uint32Array(Math.ceil(size / 32)).fill(0xffffffff);
  const rest = size % 32;
  if (rest > 0) bits[bits.length - 1] = 2 ** rest - 1;
  return bits;
}

/** `bits` becomes what is in both. */
export function keep(bits: Uint32Array, other: Uint32Array): void {
  for (let i = 0; i < bits.length; i += 1) bits[i] = (bits[i] ?? 0) & (other[i] ?? 0);
}

/** `bits` becomes what is in `bits` and in one of the two others. */
export function keepEither(bits: Uint32Array, a: Uint32Array, b: Uint32Array): void {
  for (let i = 0; i < bits.length; i += 1) bits[i] = (bits[i] ?? 0) & ((a[i] ?? 0) | (b[i] ?? 0));
}

export function setBit(bits: Uint32Array, slot: number, isOn: boolean): void {
  const word = slot >>> 5;
  const bit = 1 << (slot & 31);
  bits[word] = isOn ? (bits[word] ?? 0) | bit : (bits[word] ?? 0) & ~bit;
}

export function hasBit(bits: Uint32Array, slot: number): boolean {
  return ((bits[slot >>> 5] ?? 0) & (1 << (slot & 31))) !== 0;
}
