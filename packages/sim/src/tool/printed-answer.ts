/** What an API method answered, printed in the form that the caller asks for (pve-common src/PVE/CLIFormatter.pm print_api_result). */
import { text, type Verb } from '../pct/context.ts';
import { fieldTable, listTable, type TableColumn, type TableStyle } from '../text/table.ts';

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

/** `columns`: those of a list; default: every field that a row has. */
export function printAnswer(verb: Verb, answer: unknown, columns?: readonly TableColumn[]): void {
  if (text(verb, 'quiet') === '1') return;
  verb.io.out(textOf(verb, answer, columns));
}

function textOf(verb: Verb, answer: unknown, columns: readonly TableColumn[] | undefined): string {
  const format = text(verb, 'output-format') ?? 'text';
  if (format === 'json') return `${canonicalJson(answer)}\n`;
  if (format === 'json-pretty') return `${canonicalJson(answer, 3)}\n`;
  if (format === 'yaml') return `--- ${typeof answer === 'string' ? answer : canonicalJson(answer)}\n`;
  const style = { hasBorder: text(verb, 'noborder') !== '1', hasHeader: text(verb, 'noheader') !== '1' };
  return plainText(answer, style, columns);
}

function plainText(answer: unknown, style: TableStyle, columns: readonly TableColumn[] | undefined): string {
  if (Array.isArray(answer)) {
    if (answer.length === 0) return '';
    if (typeof answer[0] !== 'object') return answer.map((item) => `${String(item)}\n`).join('');
    const rows = answer as Record<string, unknown>[];
    const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))].sort();
    return listTable(rows, columns ?? keys.map((key) => ({ key, isNumber: isNumeric(rows, key) })), style);
  }
  if (answer === null || answer === undefined) return '';
  if (typeof answer === 'object') return fieldTable(answer as Record<string, unknown>, style);
  return `${typeof answer === 'string' ? answer : JSON.stringify(answer)}\n`;
}

function isNumeric(rows: readonly Record<string, unknown>[], key: string): boolean {
  return rows.every((row) => row[key] === undefined || typeof row[key] === 'number');
}
