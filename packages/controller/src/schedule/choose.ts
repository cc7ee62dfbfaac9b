/** The best node for a wish, from the columns: every node is looked at, none is described. The words come from `explain`. */

import type { PlacementAsk } from '../domain/placement.ts';
import type { NodeSnapshot } from '../domain/snapshot.ts';
import type { Columns } from './columns.ts';
import { allBits, keep, keepEither, setBit } from './fact-bits.ts';
import type { Terms } from './feasible.ts';
import { MeritOrder } from './pick.ts';
import { imageBits, type Scorer, scorer, sheetOf } from './score.ts';
import { NOT_ASKED } from './score-sheets.ts';

/** Slots of the columns; -1 = none. */
export interface Choice {
  readonly first: number;
  readonly second: number;
  /** Number of nodes that fit. */
  readonly fitting: number;
}

export function choose(columns: Columns, terms: Terms, seed: string): Choice {
  const open = openNodes(columns, terms);
  const sheet = sheetOf(columns, terms);
  let score: Scorer | undefined;
  const order = new MeritOrder(seed, (slot) => columns.nodes[slot]?.uid ?? '');
  for (let word = 0; word < open.length; word += 1) {
    for (let bits = open[word] ?? 0; bits !== 0; bits &= bits - 1) {
      const slot = word * 32 + 31 - Math.clz32(bits & -bits);
      let steps = sheet[slot] ?? NOT_ASKED;
      if (steps === NOT_ASKED) {
        score ??= scorer(columns, terms);
        steps = score(slot);
        sheet[slot] = steps;
      }
      if (steps >= 0) order.offer(slot, steps);
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
