/** Tasks of this node as the API tells them (pve-manager PVE/API2/Tasks.pm). */
import { parseUpid, taskLogPath, type Upid } from '@pxmgr/contract/upid';
import { ToolError } from '../call/tool.ts';
import { isRunning, readStatus } from '../cluster/task.ts';
import { readText } from '../file/sim-file.ts';
import type { Host } from '../host/host.ts';
import { splitList } from '../schema/format.ts';
import { FieldError } from '../schema/property.ts';

function required(host: Host, upid: string): Upid {
  const fields = parseUpid(upid);
  const refuse = (reason: string, status: number): never => {
    throw new FieldError('400 Parameter verification failed.', { upid: reason }, status);
  };
  if (fields === undefined) return refuse('unable to parse worker upid', 255);
  return readText(host.path(taskLogPath(fields))) === undefined ? refuse('no such task', 2) : fields;
}

/** A token's task shows the plain user and the token's name. */
function fieldsOf(upid: string, fields: Upid): Record<string, unknown> {
  const [user, tokenid] = fields.user.split('!');
  return {
    upid,
    node: fields.node,
    pid: fields.pid,
    pstart: fields.pstart,
    starttime: fields.startTime,
    type: fields.type,
    id: fields.id,
    user,
    ...(tokenid === undefined ? {} : { tokenid }),
  };
}

export function taskStatus(host: Host, upid: string): Record<string, unknown> {
  const fields = fieldsOf(upid, required(host, upid));
  if (isRunning(host, upid)) return { ...fields, status: 'running' };
  return { ...fields, status: 'stopped', exitstatus: readStatus(host, upid) };
}

/** Nothing happens to a task that has ended. */
export function stopTask(host: Host, upid: string): void {
  required(host, upid);
  if (isRunning(host, upid)) throw new ToolError('stopping tasks is not part of this stand-in\n');
}

export interface LogLine {
  readonly n: number;
  readonly t: string;
}

/** Fifty lines from the first one, unless others are asked for; 0: all (pve-common src/PVE/Tools.pm dump_logfile). */
export function taskLog(host: Host, upid: string, params: ReadonlyMap<string, string>): LogLine[] {
  const text = readText(host.path(taskLogPath(required(host, upid)))) ?? '';
  const lines = text.replace(/\n$/, '').split('\n');
  const start = Number(params.get('start') ?? 0);
  const limit = Number(params.get('limit') ?? 50);
  const rows = lines.map((t, n) => ({ n: n + 1, t }));
  return rows.slice(start, limit === 0 ? undefined : start + limit);
}

type Row = Record<string, unknown>;

/** Finished tasks, newest first; `source=active` those that run, `all` both. */
export function taskRows(host: Host, params: ReadonlyMap<string, string>): Row[] {
  const source = params.get('source') ?? 'archive';
  const rows = [
    ...(source === 'archive' ? [] : linesOf(host, 'active').map((line) => runningRow(host, line))),
    ...(source === 'active' ? [] : linesOf(host, 'index').reverse().map(finishedRow)),
  ].filter((row) => row !== undefined);
  const start = Number(params.get('start') ?? 0);
  return rows.filter((row) => isWanted(row, params)).slice(start, start + Number(params.get('limit') ?? 50));
}

function linesOf(host: Host, name: 'active' | 'index'): string[] {
  return (readText(host.path(`/var/log/pve/tasks/${name}`)) ?? '').split('\n');
}

function isWanted(row: Row, params: ReadonlyMap<string, string>): boolean {
  const start = Number(row['starttime']);
  const same = (name: string, key: string): boolean => !params.has(name) || params.get(name) === row[key];
  const user = String(row['user']).toLowerCase();
  return (
    isOfStatus(row, params) &&
    same('vmid', 'id') &&
    same('typefilter', 'type') &&
    user.includes((params.get('userfilter') ?? '').toLowerCase()) &&
    start >= Number(params.get('since') ?? 0) &&
    start <= Number(params.get('until') ?? Number.POSITIVE_INFINITY)
  );
}

/** Errors alone means: all but those that ended well. */
function isOfStatus(row: Row, params: ReadonlyMap<string, string>): boolean {
  const type = statusType(row['status']);
  if (params.get('errors') === '1') return type !== 'ok';
  const wanted = params.get('statusfilter');
  return wanted === undefined || splitList(wanted.toLowerCase()).includes(type);
}

/** pve-common src/PVE/Tools.pm upid_normalize_status_type. */
function statusType(status: unknown): 'ok' | 'warning' | 'unknown' | 'error' {
  if (status === 'OK') return 'ok';
  if (typeof status !== 'string' || /^(?:RUNNING|unexpected status|)$/.test(status)) return 'unknown';
  return /^WARNINGS: \d+$/.test(status) ? 'warning' : 'error';
}

function runningRow(host: Host, line: string): Row | undefined {
  const [upid = '', saved] = line.split(' ');
  const fields = parseUpid(upid);
  if (fields === undefined || saved !== '0' || !isRunning(host, upid)) return undefined;
  return { ...fieldsOf(upid, fields), status: 'RUNNING' };
}

function finishedRow(line: string): Row | undefined {
  const [upid = '', end = '', ...status] = line.split(' ');
  const fields = parseUpid(upid);
  if (fields === undefined) return undefined;
  return { ...fieldsOf(upid, fields), endtime: Number.parseInt(end, 16), status: status.join(' ') };
}

/** What every node last told of its tasks: the lines of its `active` file. */
export function clusterTasks(hosts: readonly Host[]): Row[] {
  return hosts
    .flatMap((host) => linesOf(host, 'active'))
    .map(toldRow)
    .filter((row) => row !== undefined);
}

function toldRow(line: string): Row | undefined {
  const [upid = '', saved = '', end, ...status] = line.split(' ');
  const fields = parseUpid(upid);
  if (fields === undefined) return undefined;
  const { pid: _pid, pstart: _pstart, ...told } = fieldsOf(upid, fields);
  return {
    ...told,
    saved,
    ...(end === undefined ? {} : { endtime: Number.parseInt(end, 16), status: status.join(' ') }),
  };
}
