/** All rows, and how they are run. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { giants } from './hostile.ts';
import { type Row, tried } from './row.ts';
import { CONTRACT_ROWS } from './rows-contract.ts';
import { GUEST_ROWS } from './rows-guest.ts';
import { HOST_ROWS } from './rows-host.ts';
import { IMAGE_ROWS } from './rows-image.ts';
import { PROGRAM_ROWS } from './rows-programs.ts';
import { WORK_ROWS } from './rows-work.ts';

export const ROWS: readonly Row[] = [
  ...CONTRACT_ROWS,
  ...HOST_ROWS,
  ...GUEST_ROWS,
  ...IMAGE_ROWS,
  ...PROGRAM_ROWS,
  ...WORK_ROWS,
];
/** Inputs for each row. */
export const FULL = 10_000;

/** `wanted` gives the number of inputs for a row; a failure prints the seed and the path that lead to it again. */
export function fire(wanted: (row: Row) => number, seed?: number): void {
  describe.each(ROWS.map((row, index) => ({ row, title: `${row.of.join(', ')} #${index}` })))('$title', ({ row }) => {
    it('stands any input', async () => {
      await fc.assert(
        fc.asyncProperty(row.input, async (input) => {
          await tried(row, input);
        }),
        { numRuns: wanted(row), ...(seed === undefined ? {} : { seed }) },
      );
    });
    if (!row.isText) return;
    it('is quick on long texts', async () => {
      for (const text of giants()) await tried(row, text);
    });
  });
}
