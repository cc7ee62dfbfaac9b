/** `pvenode task list|status|log` (pve-manager PVE/CLI/pvenode.pm); the other sub-commands are not here. */
import { taskLog, taskRows, taskStatus } from '../api/tasks.ts';
import type { Tool } from '../call/tool.ts';
import { text, type Verb, type VerbHandler } from '../pct/context.ts';
import type { TableColumn } from '../text/table.ts';
import { printAnswer } from './printed-answer.ts';
import { runCommands } from './run-commands.ts';

const COLUMNS: readonly TableColumn[] = [
  { key: 'upid', title: 'UPID' },
  { key: 'type', title: 'Type' },
  { key: 'id', title: 'ID' },
  { key: 'user', title: 'User' },
  { key: 'starttime', title: 'Starttime', isNumber: true },
  { key: 'endtime', title: 'Endtime', isNumber: true },
  { key: 'status', title: 'Status' },
];

function asked(verb: Verb): ReadonlyMap<string, string> {
  return new Map(Object.entries(verb.call.params).map(([key, value]) => [key, String(value)]));
}

function shownStatus(status: unknown): unknown {
  if (status === undefined) return 'UNKNOWN';
  return typeof status === 'string' && /^(?:OK|RUNNING|WARNINGS: \d+)$/.test(status) ? status : 'ERROR';
}

function timestamp(seconds: unknown): string {
  if (typeof seconds !== 'number') return '';
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
}

const list: VerbHandler = async (verb) => {
  const rows = taskRows(verb.host, asked(verb)).map((row) => ({ ...row, status: shownStatus(row['status']) }));
  const isText = (text(verb, 'output-format') ?? 'text') === 'text';
  const shown = rows.map((row: Record<string, unknown>) => ({
    ...row,
    starttime: timestamp(row['starttime']),
    endtime: timestamp(row['endtime']),
  }));
  printAnswer(verb, isText ? shown : rows, { columns: COLUMNS });
  return 0;
};

const status: VerbHandler = async (verb) => {
  printAnswer(verb, taskStatus(verb.host, text(verb, 'upid') ?? ''));
  return 0;
};

const log: VerbHandler = async (verb) => {
  for (const { t } of taskLog(verb.host, text(verb, 'upid') ?? '', asked(verb))) verb.io.out(`${t}\n`);
  return 0;
};

export const pvenode: Tool = (host, argv, io) =>
  runCommands({
    tool: 'pvenode',
    host,
    argv,
    io,
    verbs: { 'task list': async () => list, 'task status': async () => status, 'task log': async () => log },
  });
