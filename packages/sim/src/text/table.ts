/** Answers as tables of text (pve-common src/PVE/CLIFormatter.pm print_text_table). */

export interface TableColumn {
  readonly key: string;
  readonly title?: string;
  /** Numbers stand at the right. */
  readonly isNumber?: boolean;
}

export interface TableStyle {
  readonly hasBorder: boolean;
  readonly hasHeader: boolean;
  /** Default: the first column. */
  readonly sortBy?: string;
  /** Gives a row the words that people read; it is sorted by what it was. */
  readonly shown?: (row: Row) => Row;
}

type Row = Readonly<Record<string, unknown>>;

export function listTable(rows: readonly Row[], columns: readonly TableColumn[], style: TableStyle): string {
  const { sortBy = columns[0]?.key ?? '', shown = (row: Row): Row => row } = style;
  const cell = (row: Row, key: string): string => cellText(row[key]);
  const sorted = [...rows].sort((a, b) => compare(a[sortBy], b[sortBy])).map(shown);
  const widths = columns.map(({ key, title }) =>
    Math.max(
      (title ?? key).length,
      ...sorted.flatMap((row) =>
        cell(row, key)
          .split('\n')
          .map((line) => line.length),
      ),
    ),
  );
  const header = columns.map(({ key, title }) => [title ?? key]);
  const body = sorted.map((row) => columns.map(({ key }) => cell(row, key).split('\n')));
  const print = (cells: readonly (readonly string[])[]): string => printRow(cells, { columns, widths, style });
  if (!style.hasBorder) return [...(style.hasHeader ? [header] : []), ...body].map(print).join('');
  const rule = ([left = '', line = '', cross = '', right = '']: string): string =>
    `${left}${widths.map((width) => line.repeat(width + 2)).join(cross)}${right}\n`;
  const inner = body.map(print).join(rule('├─┼┤'));
  const head = style.hasHeader ? `${print(header)}${rule('╞═╪╡')}` : '';
  return `${rule('┌─┬┐')}${head}${inner}${rule('└─┴┘')}`;
}

/** One row for each field of an object. */
export function fieldTable(fields: Row, style: TableStyle): string {
  const rows = Object.keys(fields).map((key) => ({ key, value: fields[key] }));
  return listTable(rows, [{ key: 'key' }, { key: 'value' }], style);
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [left, right] = [cellText(a), cellText(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function cellText(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

interface Printing {
  readonly columns: readonly TableColumn[];
  readonly widths: readonly number[];
  readonly style: TableStyle;
}

/** A cell of several lines makes the row so high. */
function printRow(cells: readonly (readonly string[])[], { columns, widths, style }: Printing): string {
  const height = Math.max(...cells.map((lines) => lines.length));
  let text = '';
  for (let n = 0; n < height; n++) {
    const parts = cells.map((lines, column) => {
      const line = lines[n] ?? '';
      const width = widths[column] ?? 0;
      const isLast = column === cells.length - 1;
      if (columns[column]?.isNumber === true) return line.padStart(width);
      return isLast && !style.hasBorder ? line : line.padEnd(width);
    });
    text += style.hasBorder ? `│ ${parts.join(' │ ')} │\n` : `${parts.join(' ')}\n`;
  }
  return text;
}
