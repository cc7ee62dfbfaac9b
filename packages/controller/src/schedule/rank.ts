/**
 * Scores of a feasible node, each from 0 (bad) to 1 (good), with weights that are the same for all nodes and sum to 1: an
 * average over a varying number of scores would let a neutral score change the order.
 */
import { formatSize } from '@pxmgr/contract';
import type { Holdings } from '../domain/reservation.ts';
import { countedCores, type NodeSnapshot } from '../domain/snapshot.ts';
import { cpuRoom, memoryRoom, poolRoom, type Room } from './capacity.ts';
import type { Fit, Terms } from './feasible.ts';
import { freeVram } from './fit-device.ts';

export interface Criterion {
  readonly name: string;
  readonly weight: number;
  readonly value: (on: Sitting) => number;
  readonly text: (on: Sitting) => string;
}

/** The placement as it would sit on one node. */
export interface Sitting {
  readonly terms: Terms;
  readonly node: NodeSnapshot;
  readonly held: Holdings;
  readonly fit: Fit;
}

export function clamp(value: number): number {
  return value > 1 ? 1 : value > 0 ? value : 0;
}

/** Part that stays free. */
function left(room: Room, taken: number): number {
  return room.total > 0 ? clamp((room.free - taken) / room.total) : 0;
}

function memoryLeft({ terms, node, held }: Sitting): number {
  return left(memoryRoom(node, held, terms.policy), terms.ask.memoryBytes);
}

function cpuLeft({ terms, node, held }: Sitting): number {
  return left(cpuRoom(node, held, terms.policy), countedCores(terms.ask.cores));
}

/** The fullest of the storages it uses decides. */
function poolLeft({ node, held, fit }: Sitting): number {
  let least = 1;
  for (const pool of fit.pools) {
    const storage = node.storages.get(pool.storage);
    if (storage !== undefined) least = Math.min(least, left(poolRoom(storage, held), pool.bytes));
  }
  return least;
}

function hasImage({ terms, node }: Sitting): boolean {
  return terms.ask.imageReference === '' || node.images.has(terms.ask.imageDigest);
}

/** With an ask: how much of the free video memory is really used. Without: nodes with GPUs are left to those who need them. */
function gpuValue({ terms, node, held, fit }: Sitting): number {
  const { gpu } = terms.ask;
  if (gpu === undefined) return node.gpus.length === 0 ? 1 : 0.5;
  if (gpu.vramBytes === 0 || fit.gpus.length === 0)
    return fit.gpus.some((card) => card.usedBy.length > 0 || held.devices.has(card.address)) ? 0.5 : 1;
  let sum = 0;
  for (const card of fit.gpus) sum += clamp(gpu.vramBytes / Math.max(1, freeVram(card, held)));
  return sum / fit.gpus.length;
}

function gpuText({ terms, node, held, fit }: Sitting): string {
  if (terms.ask.gpu === undefined)
    return node.gpus.length === 0 ? 'has no GPU to keep free' : 'has GPUs that others may need';
  return fit.gpus
    .map((card) => `${card.address}${card.vramBytes > 0 ? ` with ${formatSize(freeVram(card, held))} free` : ''}`)
    .join(', ');
}

function siblings({ terms, node }: Sitting): number {
  return node.imageGuests.get(terms.ask.imageDigest) ?? 0;
}

function spreadText(on: Sitting): string {
  const count = siblings(on);
  return count === 0
    ? 'no other guest of the image'
    : `${String(count)} other ${count === 1 ? 'guest' : 'guests'} of the image`;
}

function percent(value: number): string {
  return `${(value * 100).toFixed(0)} %`;
}

export const CRITERIA: readonly Criterion[] = [
  {
    name: 'memory',
    weight: 0.3,
    value: memoryLeft,
    text: (on) => `${percent(memoryLeft(on))} of the memory stays free`,
  },
  { name: 'cpu', weight: 0.15, value: cpuLeft, text: (on) => `${percent(cpuLeft(on))} of the cores stay free` },
  {
    name: 'pool',
    weight: 0.2,
    value: poolLeft,
    text: (on) => `${percent(poolLeft(on))} of ${on.fit.storage?.id ?? 'the storage'} stays free`,
  },
  { name: 'image', weight: 0.15, value: (on) => (hasImage(on) ? 1 : 0), text: imageText },
  { name: 'gpu', weight: 0.1, value: gpuValue, text: gpuText },
  {
    name: 'spread',
    weight: 0.1,
    value: (on) => 1 / (1 + siblings(on)),
    text: spreadText,
  },
];

function imageText(on: Sitting): string {
  if (on.terms.ask.imageReference === '') return 'made from a template that is there';
  return hasImage(on)
    ? 'the image is there'
    : `${on.terms.ask.imageBytes > 0 ? formatSize(on.terms.ask.imageBytes) : 'the image'} must be pulled`;
}

/** One value per criterion, in their order. */
export function rankNode(on: Sitting): { values: readonly number[]; total: number } {
  const values = CRITERIA.map((criterion) => criterion.value(on));
  let total = 0;
  for (let i = 0; i < values.length; i += 1) total += (CRITERIA[i]?.weight ?? 0) * (values[i] ?? 0);
  return { values, total };
}
