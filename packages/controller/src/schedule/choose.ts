/** The best node for a wish, from the columns: every node is looked at, none is described. The words come from `explain`. */

import type { PlacementAsk } from '../domain/placement.ts';
import { countedCores, type NodeSnapshot } from '../domain/snapshot.ts';
import type { Card, Columns } from './columns.ts';
import { assess } from './evaluate.ts';
import { allBits, hasBit, keep, keepEither, setBit } from './fact-bits.ts';
import { holdsVmid, type Terms } from './feasible.ts';
import { TYPE_RANKS } from './fit-storage.ts';
import { MeritOrder, stepsOf } from './pick.ts';
import { CRITERIA, clamp } from './rank.ts';

/** Slots of the columns; -1 = none. */
export interface Choice {
  readonly first: number;
  readonly second: number;
  /** Number of nodes that fit. */
  readonly fitting: number;
}

export function choose(columns: Columns, terms: Terms, seed: string): Choice {
  const open = openNodes(columns, terms);
  const sum = scorer(columns, terms);
  const order = new MeritOrder(seed, (slot) => columns.nodes[slot]?.uid ?? '');
  for (let word = 0; word < open.length; word += 1) {
    for (let bits = open[word] ?? 0; bits !== 0; bits &= bits - 1) {
      const slot = word * 32 + 31 - Math.clz32(bits & -bits);
      const total = sum(slot);
      if (total >= 0) order.offer(slot, stepsOf(total));
    }
  }
  return { first: order.first, second: order.second, fitting: order.count };
}

/** What can be told from sets alone. */
function openNodes(columns: Columns, terms: Terms): Uint32Array {
  const { ask } = terms;
  const open = allBits(columns.nodes.length);
  const need = (key: string, has: (node: NodeSnapshot) => boolean): void => {
    keep(open, columns.bits.of(key, has));
  };
  need('ready', (node) => node.presence === 'up' && node.known && node.quorate);
  for (const name of ask.capabilities) need(`capability ${name}`, (node) => node.capabilities.has(name));
  for (const name of ask.bridges) need(`bridge ${name}`, (node) => node.bridges.has(name));
  for (const name of ask.datasets) need(`dataset ${name}`, (node) => isMounted(node, name));
  const { architecture, template, imageDigest } = ask;
  if (architecture !== '')
    need(`runs ${architecture}`, (node) => node.architecture === '' || node.architecture === architecture);
  if (template !== '') need(`template ${template}`, (node) => node.templates.has(template));
  if (ask.imageReference !== '') keepEither(open, imageBits(columns, imageDigest), pullBits(columns));
  if (ask.gpu !== undefined) need('gpu', (node) => node.gpus.length > 0);
  keepMeant(open, columns, ask);
  return open;
}

function imageBits({ bits }: Columns, digest: string): Uint32Array {
  return bits.of(`image ${digest}`, (node) => node.images.has(digest));
}

function pullBits({ bits }: Columns): Uint32Array {
  return bits.of('pull', (node) => node.capabilities.has('image.pull'));
}

function isMounted(node: NodeSnapshot, name: string): boolean {
  const dataset = node.datasets.get(name);
  return dataset?.mounted === true && dataset.mountpoint.startsWith('/');
}

function keepMeant(open: Uint32Array, columns: Columns, { node: named, excludeNodes }: PlacementAsk): void {
  if (named !== '') {
    const meant = new Uint32Array(open.length);
    for (const slot of columns.slotsOf(named)) setBit(meant, slot, true);
    keep(open, meant);
  }
  for (const key of excludeNodes) for (const slot of columns.slotsOf(key)) setBit(open, slot, false);
}

/** Total of a slot, or -1 where the wish does not fit. */
type Scorer = (slot: number) => number;

const weightOf = (name: string): number => CRITERIA.find((criterion) => criterion.name === name)?.weight ?? 0;
const MEMORY = weightOf('memory');
const CPU = weightOf('cpu');
const POOL = weightOf('pool');
const IMAGE = weightOf('image');
const GPU = weightOf('gpu');
const SPREAD = weightOf('spread');

function scorer(columns: Columns, terms: Terms): Scorer {
  const { ask } = terms;
  const hasRoom = roomCheck(columns, ask);
  if (isSpecial(terms)) return (slot) => (hasRoom(slot) ? assessed(columns, terms, slot) : -1);
  const gpu = gpuScore(columns, ask);
  const plain = plainScore(columns, ask);
  return (slot) => {
    if (!hasRoom(slot)) return -1;
    const gpuValue = gpu(slot);
    return gpuValue < 0 ? -1 : plain(slot, gpuValue);
  };
}

/** The innermost loop: columns and numbers only. */
function plainScore(columns: Columns, ask: PlacementAsk): (slot: number, gpuValue: number) => number {
  const { memoryFree, memoryTotal, cpuFree, cpuTotal, poolFree, poolTotal, archiveFree } = columns;
  const { memoryBytes, imageBytes } = ask;
  const wantedCores = countedCores(ask.cores);
  const main = ask.volumes.reduce((sum, volume) => sum + volume.bytes, ask.rootfsBytes);
  const there = ask.imageReference === '' ? allBits(columns.nodes.length) : imageBits(columns, ask.imageDigest);
  const siblings = columns.siblings(ask.imageDigest);
  return (slot, gpuValue) => {
    const hasImage = hasBit(there, slot);
    const archive = archiveFree[slot] ?? -1;
    if (!hasImage && (archive < 0 || archive < imageBytes)) return -1;
    const pool = poolFor(poolFree, slot * TYPE_RANKS, main);
    if (pool < 0) return -1;
    // In the order of CRITERIA: sums of other orders differ in the last bit.
    let total = 0;
    total += MEMORY * left(at(memoryFree, slot), at(memoryTotal, slot), memoryBytes);
    total += CPU * left(at(cpuFree, slot), at(cpuTotal, slot), wantedCores);
    total += POOL * left(at(poolFree, pool), at(poolTotal, pool), main);
    total += IMAGE * (hasImage ? 1 : 0);
    total += GPU * gpuValue;
    total += SPREAD * (1 / (1 + at(siblings, slot)));
    return total;
  };
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

function assessed(columns: Columns, terms: Terms, slot: number): number {
  const [node, held] = [columns.nodes[slot], columns.held.get(slot)];
  if (node === undefined || held === undefined || holdsVmid(node, terms.vmidOwners)) return -1;
  const { isFeasible, total } = assess(terms, node, held);
  return isFeasible ? total : -1;
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

function gpuScore({ gpuFree, cards }: Columns, { gpu }: PlacementAsk): Scorer {
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
