/** What a node is worth for a wish, from its columns: the same sums as `rankNode` makes from the snapshot. */
import type { PlacementAsk } from '../domain/placement.ts';
import { countedCores } from '../domain/snapshot.ts';
import type { Card, Columns } from './columns.ts';
import { assess } from './evaluate.ts';
import { allBits, hasBit } from './fact-bits.ts';
import { holdsVmid, type Terms } from './feasible.ts';
import { TYPE_RANKS } from './fit-storage.ts';
import { stepsOf } from './pick.ts';
import { CRITERIA, clamp } from './rank.ts';
import { NO_FIT } from './score-sheets.ts';

/** The score of a slot in steps (pick.ts), or NO_FIT. */
export type Scorer = (slot: number) => number;

const weightOf = (name: string): number => CRITERIA.find((criterion) => criterion.name === name)?.weight ?? 0;
const MEMORY = weightOf('memory');
const CPU = weightOf('cpu');
const POOL = weightOf('pool');
const IMAGE = weightOf('image');
const GPU = weightOf('gpu');
const SPREAD = weightOf('spread');

/** What nodes scored for wishes like this one. Asks that the columns cannot answer have no kind: each is scored anew. */
export function sheetOf({ scores }: Columns, terms: Terms): Int32Array {
  return isSpecial(terms) ? scores.blank() : scores.of(kindOf(terms.ask));
}

/** All of an ask that `plainScorer` reads. */
function kindOf(ask: PlacementAsk): string {
  const { cores, memoryBytes, imageReference, imageDigest, imageBytes, gpu } = ask;
  return JSON.stringify([cores, memoryBytes, mainBytes(ask), imageReference === '', imageDigest, imageBytes, gpu]);
}

export function scorer(columns: Columns, terms: Terms): Scorer {
  const { ask } = terms;
  const hasRoom = roomCheck(columns, ask);
  const score = isSpecial(terms) ? specialScorer(columns, terms) : plainScorer(columns, ask);
  return (slot) => (hasRoom(slot) ? score(slot) : NO_FIT);
}

/** Columns and numbers only. */
function plainScorer(columns: Columns, ask: PlacementAsk): Scorer {
  const { memoryFree, memoryTotal, cpuFree, cpuTotal, poolFree, poolTotal, archiveFree } = columns;
  const { memoryBytes, imageBytes } = ask;
  const wantedCores = countedCores(ask.cores);
  const main = mainBytes(ask);
  const gpu = gpuScore(columns, ask);
  const there = ask.imageReference === '' ? allBits(columns.nodes.length) : imageBits(columns, ask.imageDigest);
  const siblings = columns.siblings(ask.imageDigest);
  return (slot) => {
    const gpuValue = gpu(slot);
    if (gpuValue < 0) return NO_FIT;
    const hasImage = hasBit(there, slot);
    const archive = archiveFree[slot] ?? -1;
    if (!hasImage && (archive < 0 || archive < imageBytes)) return NO_FIT;
    const pool = poolFor(poolFree, slot * TYPE_RANKS, main);
    if (pool < 0) return NO_FIT;
    // In the order of CRITERIA: sums of other orders differ in the last bit.
    let total = 0;
    total += MEMORY * left(at(memoryFree, slot), at(memoryTotal, slot), memoryBytes);
    total += CPU * left(at(cpuFree, slot), at(cpuTotal, slot), wantedCores);
    total += POOL * left(at(poolFree, pool), at(poolTotal, pool), main);
    total += IMAGE * (hasImage ? 1 : 0);
    total += GPU * gpuValue;
    total += SPREAD * (1 / (1 + at(siblings, slot)));
    return stepsOf(total);
  };
}

/** What goes where the root file system goes. */
function mainBytes({ volumes, rootfsBytes }: PlacementAsk): number {
  return volumes.reduce((sum, volume) => sum + volume.bytes, rootfsBytes);
}

/** Place of the first rank with room for everything; -1 where none has. */
function poolFor(poolFree: Float64Array, first: number, main: number): number {
  for (let at = first; at < first + TYPE_RANKS; at += 1) {
    const free = poolFree[at] ?? -1;
    if (free >= 0 && free >= main) return at;
  }
  return -1;
}

/** Asks that only the snapshots can answer, and that few nodes get to. */
function isSpecial({ ask, vmidOwners }: Terms): boolean {
  return (
    ask.storage !== '' ||
    ask.volumes.some((volume) => volume.storage !== '') ||
    ask.devicePaths.length > 0 ||
    ask.bindSources.length > 0 ||
    (ask.gpu !== undefined && ask.gpu.count > 1) ||
    vmidOwners.length > 0
  );
}

function specialScorer({ nodes, held }: Columns, terms: Terms): Scorer {
  return (slot) => {
    const [node, promised] = [nodes[slot], held.get(slot)];
    if (node === undefined || promised === undefined || holdsVmid(node, terms.vmidOwners)) return NO_FIT;
    const { isFeasible, total } = assess(terms, node, promised);
    return isFeasible ? stepsOf(total) : NO_FIT;
  };
}

function roomCheck({ cores, cpuFree, memoryFree }: Columns, ask: PlacementAsk): (slot: number) => boolean {
  const wanted = countedCores(ask.cores);
  return (slot) =>
    ask.cores <= (cores[slot] ?? 0) && (cpuFree[slot] ?? 0) >= wanted && (memoryFree[slot] ?? 0) >= ask.memoryBytes;
}

function at(column: Float64Array | Uint32Array, slot: number): number {
  return column[slot] ?? 0;
}

function left(free: number, total: number, taken: number): number {
  return total > 0 ? clamp((free - taken) / total) : 0;
}

/** -1 where no card is free. */
function gpuScore({ gpuFree, cards }: Columns, { gpu }: PlacementAsk): (slot: number) => number {
  if (gpu === undefined) return (slot) => gpuFree[slot] ?? 0;
  return (slot) => {
    const card = cards[slot]?.find((one) => isFree(one, gpu));
    if (card === undefined) return -1;
    if (gpu.vramBytes === 0) return card.isUsed ? 0.5 : 1;
    return clamp(gpu.vramBytes / Math.max(1, card.freeBytes));
  };
}

function isFree(card: Card, ask: NonNullable<PlacementAsk['gpu']>): boolean {
  if (ask.address !== '' && card.address !== ask.address) return false;
  if (ask.vendor !== '' && card.vendor !== ask.vendor) return false;
  if (!card.hasNodes || card.isTaken || (ask.exclusive && card.isUsed)) return false;
  return ask.vramBytes === 0 || (card.vramBytes > 0 && card.freeBytes >= ask.vramBytes);
}

export function imageBits({ bits }: Columns, digest: string): Uint32Array {
  return bits.of(`image ${digest}`, (node) => node.images.has(digest));
}
