import { cpus } from 'node:os';
import type { Measured } from './probe.ts';
import { type Target, targetOf } from './targets.ts';

export type Judgement = 'goal' | 'must' | 'MISSED';

export interface Row extends Measured {
  readonly target: Target;
  readonly verdict: Judgement;
}

export function rowOf(measured: Measured): Row {
  const target = targetOf(measured.name);
  const reaches = (bound: number): boolean =>
    target.better === 'higher' ? measured.value >= bound : measured.value <= bound;
  const verdict = reaches(target.goal) ? 'goal' : reaches(target.must) ? 'must' : 'MISSED';
  return { ...measured, target, verdict };
}

function figure(value: number, unit: string): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const [whole = '', part] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${grouped}${part === undefined ? '' : `.${part}`}${unit === '/s' ? '/s' : ` ${unit}`}`;
}

export function table(rows: readonly Row[]): string {
  const head = ['WHAT', 'MEASURED', 'MUST', 'GOAL', 'VERDICT'];
  const body = rows.map(({ target, value, verdict }) => [
    target.what,
    figure(value, target.unit),
    figure(target.must, target.unit),
    figure(target.goal, target.unit),
    verdict,
  ]);
  const widths = head.map((word, column) => Math.max(word.length, ...body.map((row) => row[column]?.length ?? 0)));
  const lines = [head, ...body].map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))),
  );
  return lines.map((line) => line.join('  ')).join('\n');
}

export function machine(): string {
  const [first] = cpus();
  return `${String(cpus().length)} x ${first?.model.trim() ?? 'unknown CPU'}, Node ${process.version}`;
}
