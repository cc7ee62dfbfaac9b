/** Tasks of this node: `/var/log/pve/tasks/active` (proxmox/pve-common src/PVE/RESTEnvironment.pm, active_workers). */
import type { Upid } from '@pxmgr/contract';
import { parseUpid } from '@pxmgr/contract';
import type { HostPaths } from './paths.ts';

export const TASKS_DIR = '/var/log/pve/tasks';

export interface TaskRow {
  readonly upid: string;
  readonly parsed: Upid;
  /** Unix seconds; undefined while it runs. */
  readonly endTime: number | undefined;
  /** Status word; empty while it runs. */
  readonly status: string;
}

/** Lines of `active` ("UPID saved [endtime-hex status]") and of `index` ("UPID endtime-hex status"). */
export function parseTaskRows(text: string): TaskRow[] {
  return text.split('\n').flatMap((line): TaskRow[] => {
    const match = /^(UPID:\S+:)(?: ([01]))?(?: ([0-9A-Fa-f]{8}) (.*))?$/.exec(line);
    const parsed = match === null ? undefined : parseUpid(match[1] ?? '');
    if (match === null || parsed === undefined) return [];
    const endTime = match[3] === undefined ? undefined : Number.parseInt(match[3], 16);
    return [{ upid: match[1] ?? '', parsed, endTime, status: match[4] ?? '' }];
  });
}

/** Running tasks and the last 25 finished ones. */
export function readActiveTasks(paths: HostPaths): TaskRow[] {
  return parseTaskRows(paths.readIfThere(`${TASKS_DIR}/active`) ?? '');
}
