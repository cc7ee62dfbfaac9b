/** pending, unlock, destroy. */
import { rmSync } from 'node:fs';
import { ToolError } from '../call/tool.ts';
import { countWrites, removePveFile } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { destroyDisks } from '../guest/disks.ts';
import { atPoint, exit, flag, isRunning, taskOf, type Verb } from '../pct/context.ts';
import { splitList } from '../schema/format.ts';
import { encodeText } from '../text/code.ts';
import { disksOf, type VmConfig } from '../text/vm-config.ts';
import { loadVm, lockedVm, requireUnlocked, requireUnprotected, storeVm, vmPath } from './vm.ts';

export async function pending(verb: Verb): Promise<number> {
  const config = loadVm(verb.host, verb.vmid);
  const removed = new Set(splitList(config.pending.get('delete') ?? ''));
  const shown = (key: string, value: string): string => (key === 'description' ? encodeText(value.trimEnd()) : value);
  const keys = new Set([...config.values.keys(), ...config.pending.keys()]);
  for (const key of [...keys].sort()) {
    if (key === 'delete') continue;
    const [now, next] = [config.values.get(key), config.pending.get(key)];
    if (now !== undefined) verb.io.out(`cur ${key}: ${shown(key, now)}\n`);
    if (next !== undefined) verb.io.out(`new ${key}: ${shown(key, next)}\n`);
    if (removed.has(key)) verb.io.out(`del ${key}\n`);
  }
  return 0;
}

/** Without a lock it is no error. */
export async function unlock(verb: Verb): Promise<number> {
  await lockedVm(verb, undefined, async () => {
    const config = loadVm(verb.host, verb.vmid);
    config.values.delete('lock');
    storeVm(verb.host, verb, config);
  });
  return 0;
}

export async function destroy(verb: Verb): Promise<number> {
  const { host, vmid } = verb;
  check(verb, loadVm(host, vmid));
  const end = await taskOf(verb, 'qmdestroy', (task) =>
    lockedVm(verb, task, async () => {
      const config = loadVm(host, vmid);
      check(verb, config);
      await remove(verb, task, config);
    }),
  );
  return exit(end);
}

function check(verb: Verb, config: VmConfig): void {
  requireUnprotected(config, `can't remove VM ${verb.vmid}`);
  if (!flag(verb, 'skiplock')) requireUnlocked(config);
  if (isRunning(verb)) throw new ToolError(`VM ${verb.vmid} is running - destroy failed\n`);
}

async function remove(verb: Verb, task: Task, config: VmConfig): Promise<void> {
  const { host, vmid } = verb;
  const volumes = new Set(disksOf(config.values, { withUnused: true }).map(({ volume }) => volume));
  for (const volume of volumes) {
    await destroyDisks({ host, vmid, log: task.log }, [volume]);
    await atPoint(verb, 'after-volume');
  }
  await atPoint(verb, 'before-config');
  storeVm(host, verb, { values: new Map([['lock', 'destroyed']]), pending: new Map(), snapshots: new Map() });
  rmSync(host.clusterPath('firewall', `${vmid}.fw`), { force: true });
  if (flag(verb, 'purge')) {
    task.log(`purging VM ${vmid} from related configurations..\n`);
    countWrites(host, ['replication.cfg', 'vzdump.cron']);
  }
  removePveFile(host, vmPath(host, vmid));
}
