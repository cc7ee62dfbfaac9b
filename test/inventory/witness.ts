/** What must hold at the end, whatever happened: the view is the truth, and the history tells nothing that was not. */
import type { ChangeRecord } from '@pxmgr/controller/domain/change';
import { ABSENT, KINDS, type SimAgent } from './agent.ts';
import type { SimController } from './controller.ts';

/** True when every query answers with the host's truth, from memory and from disk, and nothing is outstanding. */
export function hasConverged(agent: SimAgent, controller: SimController): boolean {
  const truth = lines(agent.truth());
  const position = controller.position(agent.uid);
  return (
    lines(agent.known()) === truth &&
    lines(controller.view(agent.uid, KINDS)) === truth &&
    lines(controller.stored(agent.uid, KINDS)) === truth &&
    agent.isIdle &&
    position?.generation === agent.position.generation &&
    position.revision === agent.position.revision
  );
}

export function lines(map: ReadonlyMap<string, string>): string {
  return [...map]
    .map(([key, hash]) => `${key} ${hash}`)
    .sort()
    .join('\n');
}

const GAP = /^(\d+) message\(s\) between revisions (\d+) and (\d+) were not seen/;
const BEGAN = /^the agent began anew \(generation (\d+)\)/;

export function isRestart(summary: string): boolean {
  return BEGAN.test(summary);
}

interface Range {
  readonly generation: bigint | undefined;
  readonly from: bigint;
  readonly to: bigint;
  readonly missing: number;
}

/** Gap rows of one node, in order, each with the generation that the rows before it began. */
function gapsOf(rows: readonly ChangeRecord[], first: bigint): { ranges: Range[]; begun: bigint[] } {
  let generation = first;
  const ranges: Range[] = [];
  const begun: bigint[] = [];
  for (const { summary } of rows.filter((row) => row.action === 'gap')) {
    const began = BEGAN.exec(summary);
    const gap = GAP.exec(summary);
    if (began !== null) {
      generation = BigInt(began[1] ?? '');
      begun.push(generation);
    }
    if (gap !== null)
      ranges.push({ generation, from: BigInt(gap[2] ?? ''), to: BigInt(gap[3] ?? ''), missing: Number(gap[1]) });
  }
  return { ranges, begun };
}

/** What a row says was, and what it says is. */
function statesOf(row: ChangeRecord): [string, string] {
  const path = row.kind === 'storage' ? 'storage.type' : 'container.name';
  const { before, after } = row.fields.find((field) => field.path === path) ?? { before: '?', after: '?' };
  return [row.action === 'created' ? ABSENT : before, row.action === 'deleted' ? ABSENT : after];
}

export interface Testimony {
  readonly agent: SimAgent;
  readonly controller: SimController;
  readonly history: readonly ChangeRecord[];
  /** Nothing may have been lost: the history is all that the agent saw, from the first look on. */
  readonly isExact: boolean;
}

/** States of one object in the order of the history, the one before the first row included. */
function told(rows: readonly ChangeRecord[], problems: string[]): string[] {
  const chain: string[] = [];
  for (const row of rows) {
    const [was, is] = statesOf(row);
    const last = chain.at(-1) ?? was;
    if (last !== was)
      problems.push(`${row.kind} ${row.objectId}: a row begins with ${was}, the one before ended with ${last}`);
    if (chain.length === 0) chain.push(was);
    chain.push(is);
  }
  return chain;
}

function isSubsequence(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0;
  for (const state of whole) if (state === part[at]) at += 1;
  return at === part.length;
}

/** Nothing is claimed that the agent did not see, and what it saw and nobody told lies in a gap. */
export function judge({ agent, controller, history, isExact }: Testimony): string[] {
  const problems: string[] = [];
  const rows = history.filter((row) => row.nodeUid === agent.uid);
  const hasGaps = rows.some((row) => row.action === 'gap');
  const objects = new Set([
    ...agent.seen.keys(),
    ...rows.filter((row) => row.action !== 'gap').map((row) => `${row.kind}/${row.objectId}`),
  ]);
  for (const key of objects) {
    const own = rows.filter((row) => row.action !== 'gap' && `${row.kind}/${row.objectId}` === key);
    const chain = told(own, problems);
    const seen = agent.seen.get(key) ?? [];
    // What is heard of for the first time behind a gap counts as new.
    const claimed = hasGaps && chain[0] === ABSENT && seen[0] !== ABSENT ? chain.slice(1) : chain;
    if (!isSubsequence(claimed, seen))
      problems.push(`${key}: the history says ${chain.join(' -> ')}, the agent saw ${seen.join(' -> ')}`);
    // Before the first row an object stood where its first row found it; without any row, where it still stands.
    const whole = chain.length === 0 ? seen.slice(-1) : chain;
    const expected = isExact ? seen : seen.slice(-whole.length);
    if ((isExact || !hasGaps) && whole.join() !== expected.join())
      problems.push(`${key}: no gap, but the history says ${whole.join(' -> ')}, the agent saw ${seen.join(' -> ')}`);
  }
  problems.push(...uncovered(agent, controller, rows));
  return problems;
}

/** Every later generation heard has its row, and every revision of the last one was taken or lies in a gap row. */
function uncovered(agent: SimAgent, controller: SimController, rows: readonly ChangeRecord[]): string[] {
  const heard = takenOf(agent.uid, controller);
  const [first, ...later] = [...heard.keys()].sort((a, b) => (a < b ? -1 : 1));
  const last = controller.position(agent.uid);
  if (first === undefined || last === undefined) return [];
  const { ranges, begun } = gapsOf(rows, first);
  const silent = later.filter((generation) => !begun.includes(generation));
  const own = ranges.filter((gap) => gap.generation === last.generation);
  const missing = revisions(1n, last.revision).filter(
    (revision) =>
      heard.get(last.generation)?.has(revision) !== true &&
      !own.some((gap) => gap.from <= revision && revision <= gap.to),
  );
  return [
    ...silent.map((generation) => `no row says that generation ${String(generation)} began`),
    ...missing.map(
      (revision) =>
        `revision ${String(revision)} of generation ${String(last.generation)} is neither in the history nor in a gap`,
    ),
  ];
}

/** Revisions that were taken, by generation. */
function takenOf(uid: string, controller: SimController): Map<bigint, Set<bigint>> {
  const heard = new Map<bigint, Set<bigint>>();
  for (const key of controller.taken) {
    const [of, generation = '', revision = ''] = key.split(' ');
    if (of !== uid) continue;
    const set = heard.get(BigInt(generation)) ?? new Set<bigint>();
    heard.set(BigInt(generation), set.add(BigInt(revision)));
  }
  return heard;
}

function revisions(from: bigint, to: bigint): bigint[] {
  return Array.from({ length: Number(to - from) + 1 }, (_, index) => from + BigInt(index));
}
