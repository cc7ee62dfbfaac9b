/**
 * Tasks that ran before a step: logs from the steps before it, the one the step asks for, and those that a listing
 * printed. What is compared of a listing is its fields, filters, order and widths.
 */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseUpid, taskLogPath } from '@pxmgr/contract/upid';
import { changeCluster } from '../../../packages/sim/src/cluster/pmxcfs.ts';
import type { LogEntry } from '../../../packages/sim/src/cluster/state.ts';
import type { Host } from '../../../packages/sim/src/host/host.ts';
import type { History } from './history.ts';
import type { RecordedStep } from './recorded-step.ts';

const ACTIVE = '/var/log/pve/tasks/active';

interface Past {
  readonly step: RecordedStep;
  readonly history: History;
}

export function seedTasks(hosts: ReadonlyMap<string, Host>, { step, history }: Past): void {
  const host = hosts.get(step.host);
  if (host !== undefined) seedLost(host, step);
  if (host === undefined || !/^(?:pvesh|pvenode|curl)$/.test(step.argv[0] ?? '')) return;
  for (const [upid, log] of history.tasks) put(host, upid, log);
  seedAsked(host, step, history);
  const known = new Set(history.tasks.keys());
  for (const { upid, endtime, status } of listed(step)
    .filter((task) => !known.has(task.upid))
    .reverse()) {
    const owner = hosts.get(parseUpid(upid)?.node ?? '');
    if (owner !== undefined) putLines(owner, upid, { end: endtime, status });
  }
  if (step.argv[2] === '/cluster/log' && typeof step.stdout === 'string')
    seedLog(host, JSON.parse(step.stdout) as ListedEntry[]);
}

/** Workers that died before: the next task of the node finds them in the list of running ones. */
function seedLost(host: Host, { effects }: RecordedStep): void {
  const own = new Set((effects?.tasks ?? []).map((task) => task.upid));
  for (const line of effects?.index_added ?? []) {
    const [upid = ''] = line.split(' ');
    if (!own.has(upid) && line.endsWith(' unexpected status')) appendFileSync(host.path(ACTIVE), `${upid} 0\n`);
  }
}

function seedAsked(host: Host, step: RecordedStep, history: History): void {
  const asked = /UPID:[^/\s]+:/.exec(step.argv.join(' '))?.[0];
  if (asked !== undefined && !history.tasks.has(asked) && /finished task \(ok\)|token/.test(step.given))
    put(host, asked, 'TASK OK\n');
}

function put(host: Host, upid: string, log: string): void {
  const fields = parseUpid(upid);
  if (fields === undefined || fields.node !== host.name) return;
  const file = host.path(taskLogPath(fields));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, log);
  const status = log === '' ? 'unexpected status' : (/TASK (?:ERROR: (.*)|OK)\s*$/.exec(log)?.[1] ?? 'OK');
  putLines(host, upid, { end: fields.startTime, status });
}

function putLines(host: Host, upid: string, { end, status }: { end: number; status: string }): void {
  const hex = end.toString(16).toUpperCase().padStart(8, '0');
  appendFileSync(host.path('/var/log/pve/tasks/index'), `${upid} ${hex} ${status}\n`);
  appendFileSync(host.path(ACTIVE), `${upid} 1 ${hex} ${status}\n`);
}

interface ListedTask {
  readonly upid: string;
  readonly endtime: number;
  readonly status: string;
}

function listed({ argv, stdout }: RecordedStep): ListedTask[] {
  if (typeof stdout !== 'string') return [];
  if (/\/tasks$/.test(argv[2] ?? ''))
    return (JSON.parse(stdout) as Partial<ListedTask>[]).filter((row): row is ListedTask => row.endtime !== undefined);
  if (argv[0] !== 'pvenode' || argv[2] !== 'list') return [];
  const cells = stdout.split('\n').map((line) => line.split('│').map((cell) => cell.trim()));
  return cells
    .filter((row) => row[1]?.startsWith('UPID:') === true)
    .map((row) => ({ upid: row[1] ?? '', endtime: Date.parse(`${row[6] ?? ''}Z`) / 1000, status: row[7] ?? '' }));
}

type ListedEntry = Omit<LogEntry, 'uid'> & { readonly uid: string };

function seedLog(host: Host, entries: readonly ListedEntry[]): void {
  changeCluster(host, (state) => {
    state.log = entries.map((entry) => ({ ...entry, uid: Number(entry.uid) }));
  });
}
