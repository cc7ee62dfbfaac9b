/** Proxmox task ids: proxmox/pve-common src/PVE/UPID.pm. */
import { hasControlCharacters } from './ids.ts';

export interface Upid {
  readonly node: string;
  readonly pid: number;
  /** Start time of the process in clock ticks since boot. */
  readonly pstart: number;
  /** Unix seconds. */
  readonly startTime: number;
  readonly type: string;
  /** What it works on, mostly a vmid; may be empty. */
  readonly id: string;
  /** root@pam, or user@realm!token. */
  readonly user: string;
}

/** No slash in the user either, though Proxmox allows one: the whole id is the name of a file. */
const PATTERN =
  /^UPID:([a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?):([0-9A-Fa-f]{8}):([0-9A-Fa-f]{8,9}):([0-9A-Fa-f]{8}):([^:\s/]+):([^:\s/]*):([^:\s/]+):$/;

export function parseUpid(text: string): Upid | undefined {
  const match = hasControlCharacters(text) ? null : PATTERN.exec(text);
  if (match === null) return undefined;
  const [, node = '', pid = '', pstart = '', start = '', type = '', id = '', user = ''] = match;
  return {
    node,
    pid: Number.parseInt(pid, 16),
    pstart: Number.parseInt(pstart, 16),
    startTime: Number.parseInt(start, 16),
    type,
    id,
    user,
  };
}

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}

export function formatUpid(upid: Upid): string {
  return `UPID:${upid.node}:${hex(upid.pid)}:${hex(upid.pstart)}:${hex(upid.startTime)}:${upid.type}:${upid.id}:${upid.user}:`;
}

/** Where the task's log lies on its node. */
export function taskLogPath(upid: Upid): string {
  const start = hex(upid.startTime);
  return `/var/log/pve/tasks/${start.slice(-1)}/${formatUpid(upid)}`;
}

export type TaskVerdict =
  | { readonly kind: 'ok' }
  | { readonly kind: 'warnings'; readonly count: number }
  | { readonly kind: 'error'; readonly text: string };

/** Status word as `active` and `index` carry it; anything but OK and WARNINGS is an error text. */
export function parseTaskStatus(status: string): TaskVerdict {
  if (status === 'OK') return { kind: 'ok' };
  const warnings = /^WARNINGS: (\d+)$/.exec(status);
  if (warnings !== null) return { kind: 'warnings', count: Number(warnings[1]) };
  return { kind: 'error', text: status };
}

/** Verdict of a log by its last line; undefined when the task still runs or died without one. */
export function parseTaskLogEnd(lastLine: string): TaskVerdict | undefined {
  const match = /^TASK (OK|WARNINGS: \d+|ERROR: (.*))$/.exec(lastLine.trimEnd());
  if (match === null) return undefined;
  return match[2] === undefined ? parseTaskStatus(match[1] ?? '') : { kind: 'error', text: match[2] };
}
