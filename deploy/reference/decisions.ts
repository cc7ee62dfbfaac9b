import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Page, page, table } from './page.ts';

const RECORD = /^(?!0000)\d{4}-[a-z0-9-]+\.md$/;

function row(folder: string, name: string): string[] {
  const text = readFileSync(join(folder, name), 'utf8');
  const title = /^# \d{4} (.+)$/m.exec(text)?.[1];
  const [status, date] = /^\| --- .*\n\| ([^|]+) \| ([^|]+) \|/m.exec(text)?.slice(1) ?? [];
  if (title === undefined || status === undefined || date === undefined)
    throw new Error(`${name} does not follow 0000-template.md`);
  return [name.slice(0, 4), `[${title}](${name})`, status.trim(), date.trim()];
}

/** docs/adr/README.md: the index of the records in `folder`. */
export function renderDecisions(folder: string): Page {
  const rows = readdirSync(folder)
    .filter((name) => RECORD.test(name))
    .sort()
    .map((name) => row(folder, name));
  const body = `What was decided, why, and what it would take to undo it. A new one starts from [the template](0000-template.md).\n\n${table(['Nr', 'Decision', 'Status', 'Date'], rows)}`;
  return page('docs/adr/README.md', 'Decisions', body);
}
