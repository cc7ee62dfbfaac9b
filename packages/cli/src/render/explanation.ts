/** Why this node, and why not the others: every candidate with every reason and every score. */
import type { Candidate, Evaluation } from '@pxmgr/contract/controller';
import { renderTable } from './table.ts';
import type { Theme } from './theme.ts';
import { wrap } from './width.ts';

export interface Page {
  readonly theme: Theme;
  readonly width: number | undefined;
}

const DEFAULT_WIDTH = 100;

function verdict(candidate: Candidate, theme: Theme): string {
  if (!candidate.feasible) return `${theme.bad(theme.marks.bad)} no`;
  return candidate.rank === 1 ? `${theme.good(theme.marks.good)} chosen` : `${theme.marks.good} fits`;
}

function scoreLines(candidate: Candidate, page: Page): string[] {
  const columns = [
    { head: '  SCORE', value: (row: Candidate['scores'][number]) => `  ${row.name}` },
    { head: 'VALUE', align: 'right' as const, value: (row: Candidate['scores'][number]) => row.value.toFixed(2) },
    { head: 'WEIGHT', align: 'right' as const, value: (row: Candidate['scores'][number]) => row.weight.toFixed(1) },
    { head: 'BECAUSE', shrink: 1, value: (row: Candidate['scores'][number]) => row.text },
  ];
  return renderTable(candidate.scores, columns, { width: page.width, wide: true, head: page.theme.dim });
}

function reasonLines(candidate: Candidate, page: Page): string[] {
  const width = Math.max(40, (page.width ?? DEFAULT_WIDTH) - 6);
  return candidate.reasons.flatMap((reason) =>
    wrap(`${reason.filter}: ${reason.text}`, width).map(
      (line, index) => `  ${index === 0 ? page.theme.marks.bullet : ' '} ${line}`,
    ),
  );
}

function byRank(a: Candidate, b: Candidate): number {
  if (a.feasible !== b.feasible) return a.feasible ? -1 : 1;
  return a.rank === b.rank ? a.nodeName.localeCompare(b.nodeName) : a.rank - b.rank;
}

/** Whose scores are shown. */
export type ScoresOf = 'all' | 'chosen';

/** Summary first, then one block for each node: what fits with its scores, the rest with what speaks against them. */
export function renderEvaluation(evaluation: Evaluation, page: Page, scoresOf: ScoresOf): string[] {
  const lines = wrap(evaluation.summary, page.width ?? DEFAULT_WIDTH);
  if (evaluation.chosenStorage !== '')
    lines.push(
      `storage ${evaluation.chosenStorage}${evaluation.chosenDevices.length > 0 ? `, devices ${evaluation.chosenDevices.join(' ')}` : ''}`,
    );
  for (const candidate of [...evaluation.candidates].sort(byRank)) {
    const total = candidate.feasible ? `  ${page.theme.dim(`total ${candidate.total.toFixed(2)}`)}` : '';
    lines.push('', `${page.theme.bold(candidate.nodeName)}  ${verdict(candidate, page.theme)}${total}`);
    lines.push(...reasonLines(candidate, page));
    if (candidate.feasible && (scoresOf === 'all' || candidate.rank === 1)) lines.push(...scoreLines(candidate, page));
  }
  return lines;
}
