/**
 * The fleet as columns of numbers, so that a wish can be held against thousands of nodes in microseconds. One slot per
 * node; a slot is written anew when its snapshot or its holdings change. Holds nothing that the snapshots do not say:
 * `choose` over columns and `evaluate` over snapshots give the same answer (choose.test.ts).
 */
import type { PlacementPolicy } from '../domain/placement.ts';
import type { Holdings } from '../domain/reservation.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import { cpuRoom, memoryRoom, poolRoom } from './capacity.ts';
import type { Field } from './evaluate.ts';
import { FactBits } from './fact-bits.ts';
import { freeVram } from './fit-device.ts';
import { ARCHIVE_CONTENT, ROOT_CONTENT, TYPE_RANKS, typeOrder } from './fit-storage.ts';
import { Pages } from './pages.ts';
import { ScoreSheets } from './score-sheets.ts';

/** A card as it is shared out at the moment. */
export interface Card {
  readonly address: string;
  readonly vendor: string;
  readonly vramBytes: number;
  readonly freeBytes: number;
  readonly hasNodes: boolean;
  /** Somebody has it as a whole. */
  readonly isTaken: boolean;
  readonly isUsed: boolean;
  readonly users: number;
}

/** Images whose guests are counted per node at once. */
const SIBLING_COLUMNS_MAX = 32;
const NO_CARDS: readonly Card[] = [];

export class Columns {
  readonly policy: PlacementPolicy;
  readonly nodes: NodeSnapshot[];
  readonly held: Pages<Holdings>;
  readonly bits: FactBits;
  readonly scores: ScoreSheets;
  readonly cores: Float64Array;
  readonly cpuFree: Float64Array;
  readonly cpuTotal: Float64Array;
  readonly memoryFree: Float64Array;
  readonly memoryTotal: Float64Array;
  /** Most room of a storage for archives; -1 without one. */
  readonly archiveFree: Float64Array;
  /** Per slot and rank of storage type: the widest storage for root file systems; free is -1 without one. */
  readonly poolFree: Float64Array;
  readonly poolTotal: Float64Array;
  /** What a wish without GPU is told: 1 = no GPU is taken from others. */
  readonly gpuFree: Float64Array;
  /** In the order in which they are given away. */
  readonly cards: (readonly Card[])[];
  /** Slots by name and by uid. */
  readonly #slots = new Map<string, number[]>();
  #pinned: readonly NodeSnapshot[] | undefined;
  readonly #siblings = new Map<string, Uint32Array>();

  constructor(nodes: readonly NodeSnapshot[], held: readonly Holdings[], policy: PlacementPolicy) {
    const column = (): Float64Array => new Float64Array(nodes.length);
    this.policy = policy;
    this.nodes = [...nodes];
    this.held = new Pages(held);
    this.bits = new FactBits(this.nodes);
    this.scores = new ScoreSheets(nodes.length);
    this.cores = column();
    this.cpuFree = column();
    this.cpuTotal = column();
    this.memoryFree = column();
    this.memoryTotal = column();
    this.archiveFree = column();
    this.gpuFree = column();
    this.poolFree = new Float64Array(nodes.length * TYPE_RANKS);
    this.poolTotal = new Float64Array(nodes.length * TYPE_RANKS);
    this.cards = nodes.map(() => NO_CARDS);
    for (const [slot, { name, uid }] of this.nodes.entries()) {
      for (const key of [name, uid]) this.#slots.set(key, [...(this.#slots.get(key) ?? []), slot]);
      this.#fill(slot);
    }
  }

  /** The fleet as it is now, for later: made when it is asked for, of this moment all the same. */
  pin(): () => Field {
    this.#pinned ??= [...this.nodes];
    const nodes = this.#pinned;
    const held = this.held.freeze();
    return () => ({ nodes, held: held() });
  }

  slotsOf(key: string): readonly number[] {
    return this.#slots.get(key) ?? [];
  }

  /** The same node with other facts; a node with another name needs new columns. */
  setNode(slot: number, node: NodeSnapshot): void {
    this.nodes[slot] = node;
    this.#pinned = undefined;
    this.#fill(slot);
    this.bits.set(slot);
    for (const [digest, counts] of this.#siblings) counts[slot] = node.imageGuests.get(digest) ?? 0;
  }

  setHeld(slot: number, held: Holdings): void {
    this.held.set(slot, held);
    this.#fill(slot);
  }

  /** Guests of the image per slot. */
  siblings(digest: string): Uint32Array {
    const known = this.#siblings.get(digest);
    if (known !== undefined) return known;
    if (this.#siblings.size >= SIBLING_COLUMNS_MAX) this.#siblings.clear();
    const counts = Uint32Array.from(this.nodes, (node) => node.imageGuests.get(digest) ?? 0);
    this.#siblings.set(digest, counts);
    return counts;
  }

  #fill(slot: number): void {
    const [node, held] = [this.nodes[slot], this.held.get(slot)];
    if (node === undefined || held === undefined) return;
    this.scores.forget(slot);
    const cpu = cpuRoom(node, held, this.policy);
    const memory = memoryRoom(node, held, this.policy);
    this.cores[slot] = node.cores;
    this.cpuFree[slot] = cpu.free;
    this.cpuTotal[slot] = cpu.total;
    this.memoryFree[slot] = memory.free;
    this.memoryTotal[slot] = memory.total;
    this.#fillPools(slot, node, held);
    this.gpuFree[slot] = node.gpus.length === 0 ? 1 : 0.5;
    this.cards[slot] = node.gpus.length === 0 ? NO_CARDS : cardsOf(node, held);
  }

  #fillPools(slot: number, node: NodeSnapshot, held: Holdings): void {
    const first = slot * TYPE_RANKS;
    this.poolFree.fill(-1, first, first + TYPE_RANKS);
    this.archiveFree[slot] = -1;
    const widest = new Map<number, string>();
    for (const storage of node.storages.values()) {
      if (!storage.usable) continue;
      const { free, total } = poolRoom(storage, held);
      if (storage.content.includes(ARCHIVE_CONTENT))
        this.archiveFree[slot] = Math.max(this.archiveFree[slot] ?? -1, free);
      if (!storage.content.includes(ROOT_CONTENT)) continue;
      const rank = typeOrder(storage);
      const best = this.poolFree[first + rank] ?? -1;
      if (free < best || (free === best && storage.id > (widest.get(rank) ?? ''))) continue;
      widest.set(rank, storage.id);
      this.poolFree[first + rank] = free;
      this.poolTotal[first + rank] = total;
    }
  }
}

function cardsOf(node: NodeSnapshot, held: Holdings): Card[] {
  const cards = node.gpus.map((gpu): Card => {
    const hold = held.devices.get(gpu.address);
    return {
      address: gpu.address,
      vendor: gpu.vendor,
      vramBytes: gpu.vramBytes,
      freeBytes: freeVram(gpu, held),
      hasNodes: gpu.devicePaths.length > 0,
      isTaken: hold?.exclusive === true,
      isUsed: gpu.usedBy.length > 0 || hold !== undefined,
      users: gpu.usedBy.length + (hold?.holders ?? 0),
    };
  });
  return cards.sort(byGift);
}

/** As fit-device gives them away: the smallest first, then the fullest, then the least used. */
function byGift(a: Card, b: Card): number {
  return (
    a.vramBytes - b.vramBytes || a.freeBytes - b.freeBytes || a.users - b.users || (a.address < b.address ? -1 : 1)
  );
}
