/** Tasks that ran before a step: logs from the steps before it, and the one the step asks for. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseUpid, taskLogPath } from '@pxmgr/contract/upid';
import type { Host } from '../../../packages/sim/src/host.ts';
import type { History } from './history.ts';
import type { RecordedStep } from './recorded-step.ts';

export function seedTasks(host: Host, { step, history }: { step: RecordedStep; history: History }): void {
  if (!/^(?:pvesh|pvenode|curl)$/.test(step.argv[0] ?? '')) return;
  for (const [upid, log] of history.tasks) put(host, upid, log);
  const asked = /UPID:[^/\s]+:/.exec(step.argv.join(' '))?.[0];
  if (asked === undefined || history.tasks.has(asked)) return;
  if (/finished task \(ok\)|token/.test(step.given)) put(host, asked, 'TASK OK\n');
}

function put(host: Host, upid: string, log: string): void {
  const fields = parseUpid(upid);
  if (fields === undefined || fields.node !== host.name) return;
  const file = host.path(taskLogPath(fields));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, log);
  const status = log === '' ? 'unexpected status' : (/TASK (?:ERROR: (.*)|OK)\s*$/.exec(log)?.[1] ?? 'OK');
  const end = fields.startTime.toString(16).toUpperCase().padStart(8, '0');
  appendFileSync(host.path('/var/log/pve/tasks/index'), `${upid} ${end} ${status}\n`);
  appendFileSync(host.path('/var/log/pve/tasks/active'), `${upid} 1 ${end} ${status}\n`);
}
