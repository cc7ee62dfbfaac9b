/** Tasks of this node as the API tells them (pve-manager PVE/API2/Tasks.pm). */
import { parseUpid, taskLogPath, type Upid } from '@pxmgr/contract/upid';
import type { Host } from '../host.ts';
import { readText } from '../sim-file.ts';
import { isRunning, readStatus } from '../task.ts';
import { ToolError } from '../tool.ts';

function required(host: Host, upid: string): Upid {
  const fields = parseUpid(upid);
  const refuse = (reason: string, status: number): never => {
    throw new ToolError(
      `400 Parameter verification failed.\nupid: ${reason}\npvesh get <api_path> [OPTIONS] [FORMAT_OPTIONS]\n`,
      status,
    );
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

export function taskLog(host: Host, upid: string): unknown[] {
  const text = readText(host.path(taskLogPath(required(host, upid)))) ?? '';
  const lines = text.replace(/\n$/, '').split('\n');
  return lines.map((t, n) => ({ n: n + 1, t }));
}

/** Finished tasks, newest first; `source=active` those that run. */
export function taskRows(host: Host, params: ReadonlyMap<string, string>): unknown[] {
  const isActive = params.get('source') === 'active';
  const text = readText(host.path(`/var/log/pve/tasks/${isActive ? 'active' : 'index'}`)) ?? '';
  const rows = text
    .split('\n')
    .reverse()
    .map((line) => taskRow(line, isActive))
    .filter((row) => row !== undefined)
    .filter((row) => params.get('errors') !== '1' || row['status'] !== 'OK');
  return rows.slice(0, Number(params.get('limit') ?? 50));
}

function taskRow(line: string, isActive: boolean): Record<string, unknown> | undefined {
  const [upid = '', end = '', ...status] = line.split(' ');
  const fields = parseUpid(upid);
  if (fields === undefined || (isActive && end !== '0')) return undefined;
  const row = fieldsOf(upid, fields);
  return isActive ? row : { ...row, endtime: Number.parseInt(end, 16), status: status.join(' ') };
}
