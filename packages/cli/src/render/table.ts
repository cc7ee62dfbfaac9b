/** Tables without borders: upper-case heads, numbers to the right, one line per thing, never wider than the terminal if a column may shrink. */
import type { Column } from '../result.ts';
import { cellWidth, cut, padEnd, padStart } from './width.ts';

const GAP = '  ';
/** Columns give way in two rounds: first down to what is still readable, then to the bare minimum. */
const SHRINK_MINIMA = [20, 8];

export interface TableOptions {
  /** Cells of the terminal; undefined = not a terminal, no limit. */
  readonly width: number | undefined;
  readonly wide: boolean;
  readonly head: (text: string) => string;
}

function fit(widths: number[], columns: readonly { readonly shrink?: number }[], limit: number | undefined): number[] {
  if (limit === undefined) return widths;
  const order = columns
    .map((column, index) => ({ index, shrink: column.shrink ?? 0 }))
    .filter((entry) => entry.shrink > 0)
    .sort((a, b) => b.shrink - a.shrink);
  let over = widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1) - limit;
  for (const minimum of SHRINK_MINIMA) {
    for (const { index } of order) {
      const width = widths[index] ?? 0;
      const give = Math.min(Math.max(0, over), Math.max(0, width - minimum));
      widths[index] = width - give;
      over -= give;
    }
  }
  return widths;
}

/** Lines of the table, head first; a value makes no line of its own. */
export function renderTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: TableOptions,
): string[] {
  const shown = columns.filter((column) => options.wide || column.wide !== true);
  const cells = rows.map((row) => shown.map((column) => column.value(row).replace(/[\r\n]+/g, ' ')));
  const natural = shown.map((column, index) =>
    Math.max(cellWidth(column.head), ...cells.map((line) => cellWidth(line[index] ?? ''))),
  );
  const widths = fit(natural, shown, options.width);
  const draw = (line: readonly string[], paint: (text: string) => string): string =>
    line
      .map((value, index) => {
        const width = widths[index] ?? 0;
        const fitted = cellWidth(value) > width ? cut(value, width) : value;
        const isLast = index === line.length - 1;
        if (shown[index]?.align === 'right') return paint(padStart(fitted, width));
        return paint(isLast ? fitted : padEnd(fitted, width));
      })
      .join(GAP)
      .trimEnd();
  return [
    draw(
      shown.map((column) => column.head),
      options.head,
    ),
    ...cells.map((line) => draw(line, (value) => value)),
  ];
}

/** "key   value" lines with the keys padded to one width. Empty values are left out. */
export function renderPairs(pairs: readonly (readonly [string, string])[], indent = ''): string[] {
  const filled = pairs.filter(([, value]) => value !== '');
  const width = Math.max(0, ...filled.map(([key]) => cellWidth(key)));
  return filled.map(([key, value]) => `${indent}${padEnd(key, width)}  ${value}`);
}

/** Cells in aligned columns without a head, for the parts of one thing. */
export function renderGrid(rows: readonly (readonly string[])[], indent: string): string[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map((row) => cellWidth(row[column] ?? ''))),
  );
  return rows.map((row) =>
    `${indent}${row.map((cell, column) => padEnd(cell, widths[column] ?? 0)).join(GAP)}`.trimEnd(),
  );
}
