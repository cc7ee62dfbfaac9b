/** A result in the wanted format: what goes to stdout, and what is only said on stderr. */
import type { Look } from '../context.ts';
import { type Format, isForPeople } from '../format.ts';
import type { ListResult, Result } from '../result.ts';
import { renderJson, renderNdjson, renderYaml } from './json.ts';
import { renderTable } from './table.ts';
import { createTheme } from './theme.ts';

export interface Output {
  readonly out: string;
  readonly notes: readonly string[];
  readonly exit: number;
}

export interface OutputOptions {
  readonly format: Format;
  readonly look: Look;
  readonly width: number | undefined;
}

function listText(result: ListResult, options: OutputOptions): string {
  if (options.format === 'name') return [...new Set(result.rows.map(result.name))].join('\n');
  const { head } = createTheme(options.look);
  return renderTable(result.rows, result.columns, { width: options.width, wide: options.format === 'wide', head }).join(
    '\n',
  );
}

function structured(result: Exclude<Result, { kind: 'text' | 'streamed' }>, format: Format): string | undefined {
  if (format === 'json') return renderJson(result);
  if (format === 'yaml') return renderYaml(result);
  if (format === 'ndjson') return renderNdjson(result);
  return undefined;
}

function line(text: string): string {
  return text === '' ? '' : `${text}\n`;
}

/** Data lines end with a line feed; an empty list is an empty output and a note. */
export function renderResult(result: Result, options: OutputOptions): Output {
  if (result.kind === 'streamed') return { out: '', notes: [], exit: result.exit };
  if (result.kind === 'text') return { out: line(result.text), notes: [], exit: 0 };
  const data = structured(result, options.format);
  if (result.kind === 'detail') {
    const text = data ?? (options.format === 'name' ? result.name : result.lines.join('\n'));
    return { out: line(text), notes: [], exit: result.exit ?? 0 };
  }
  const notes = isForPeople(options.format) ? [...(result.notes ?? [])] : [];
  if (result.rows.length === 0 && isForPeople(options.format))
    return { out: '', notes: [result.empty, ...notes], exit: 0 };
  return { out: line(data ?? listText(result, options)), notes, exit: 0 };
}
