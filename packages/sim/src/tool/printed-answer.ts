/** What an API method answered, printed in the form that the caller asks for (pve-common src/PVE/CLIFormatter.pm print_api_result). */
import { text, type Verb } from '../pct/context.ts';
import type { AnswerField, AnswerShape } from '../schema/schema-data.ts';
import { rendered } from '../text/rendered.ts';
import { fieldTable, listTable, type TableColumn, type TableStyle } from '../text/table.ts';
import { yamlText } from '../text/yaml.ts';

/** JSON with sorted keys on one line, as upstream prints it. */
export function canonicalJson(value: unknown, indent?: number): string {
  const sorted = (v: unknown): unknown => {
    if (Array.isArray(v)) return v.map(sorted);
    if (v === null || typeof v !== 'object') return v;
    return Object.fromEntries(
      Object.entries(v)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, inner]) => [key, sorted(inner)]),
    );
  };
  return JSON.stringify(sorted(value), undefined, indent);
}

export interface Printing {
  /** What upstream says of the answer; without it every field is shown. */
  readonly shape?: AnswerShape | undefined;
  /** Columns of a list in place of those of the shape. */
  readonly columns?: readonly TableColumn[];
  /** Default: the first column. */
  readonly sortBy?: string;
}

export function printAnswer(verb: Verb, answer: unknown, printing: Printing = {}): void {
  const { shape } = printing;
  if (text(verb, 'quiet') === '1' || shape?.type === 'null') return;
  const format = text(verb, 'output-format') ?? 'text';
  if (format === 'json') verb.io.out(`${canonicalJson(answer)}\n`);
  else if (format === 'json-pretty') verb.io.out(prettyJson(answer));
  else if (format === 'yaml') verb.io.out(yamlText(answer));
  else verb.io.out(plainText(verb, answer, printing));
}

/** Perl's printer puts a blank before the colon, and nothing into an empty list or object. */
function prettyJson(answer: unknown): string {
  return `${canonicalJson(answer, 3).replace(/^( *"(?:[^"\\]|\\.)*"):/gm, '$1 :')}\n`;
}

function plainText(verb: Verb, answer: unknown, printing: Printing): string {
  const style = { hasBorder: text(verb, 'noborder') !== '1', hasHeader: text(verb, 'noheader') !== '1' };
  const fields = text(verb, 'human-readable') === '0' ? {} : (printing.shape?.fields ?? {});
  const shown = (row: object): Record<string, unknown> => renderedRow(row, fields);
  if (Array.isArray(answer)) return listText(answer, printing, { ...style, shown });
  if (answer === null || answer === undefined) return '\n';
  if (typeof answer !== 'object') return `${typeof answer === 'string' ? answer : JSON.stringify(answer)}\n`;
  const known = Object.keys(printing.shape?.fields ?? {});
  const kept = Object.entries(shown(answer)).filter(([key]) => known.length === 0 || isKnown(known, key));
  return fieldTable(Object.fromEntries(kept), style);
}

function listText(rows: readonly unknown[], { shape, columns, sortBy }: Printing, style: TableStyle): string {
  if (rows.length === 0) return '';
  if (typeof rows[0] !== 'object') return valueTable(rows, style);
  const list = rows as Record<string, unknown>[];
  const sorting = sortBy === undefined ? {} : { sortBy };
  return listTable(list, columns ?? columnsOf(list, shape), { ...style, ...sorting });
}

function renderedRow(row: object, fields: Readonly<Record<string, AnswerField>>): Record<string, unknown> {
  const cells = Object.entries(row).map(([key, value]): [string, unknown] => [
    key,
    rendered(fields[key]?.renderer, value) ?? value,
  ]);
  return Object.fromEntries(cells);
}

function valueTable(values: readonly unknown[], style: TableStyle): string {
  const rows = values.map((value) => ({ value }));
  return listTable(rows, [{ key: 'value' }], { hasBorder: style.hasBorder, hasHeader: false });
}

/** `net[n]` stands for all numbered ones. */
function isKnown(known: readonly string[], key: string): boolean {
  return known.includes(key) || known.includes(key.replace(/\d+$/, '[n]'));
}

/** The fields that every row has, then those that one may lack; by name. All that there are where upstream names none. */
function columnsOf(rows: readonly Record<string, unknown>[], shape: AnswerShape | undefined): TableColumn[] {
  const fields = Object.entries(shape?.fields ?? {});
  if (fields.length > 0) {
    const ordered = [...fields.filter(([, f]) => f.optional !== 1), ...fields.filter(([, f]) => f.optional === 1)];
    return ordered.map(([key, { title, type }]) => ({
      key,
      ...(title === undefined ? {} : { title }),
      isNumber: type === 'integer' || type === 'number',
    }));
  }
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))].sort();
  return keys.map((key) => ({ key }));
}
