/** What a probe gets and gives. A probe makes its own folder, servers and processes and takes them away again. */

export interface ProbeOptions {
  readonly seed: number;
  /** Smaller sizes and fewer rounds: to see that it runs, not to compare. */
  readonly quick: boolean;
  readonly say: (line: string) => void;
}

export interface Measured {
  /** Name of a target. */
  readonly name: string;
  readonly value: number;
  /** Sizes, spread of the rounds, and what else was seen. */
  readonly detail: string;
}

export interface Probe {
  readonly names: readonly string[];
  readonly run: (options: ProbeOptions) => Promise<readonly Measured[]>;
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1));
  return sorted[at] ?? Number.NaN;
}

export function range(values: readonly number[], digits = 0): string {
  return `${Math.min(...values).toFixed(digits)}-${Math.max(...values).toFixed(digits)}`;
}
