/** set, pending, unlock, destroy. */
import { rmSync } from 'node:fs';
import { ToolError } from '../call/tool.ts';
import { countWrites, removePveFile } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { destroyDisks } from '../guest/disks.ts';
import { atPoint, exit, flag, isRunning, taskOf, text, type Verb } from '../pct/context.ts';
import { splitList } from '../schema/format.ts';
import { encodeText } from '../text/code.ts';
import { disksOf, type VmConfig } from '../text/vm-config.ts';
import { isNetKey, withAddress } from './net.ts';
import { loadVm, lockedVm, requireUnlocked, requireUnprotected, storeVm, tell, vmPath } from './vm.ts';

const NOT_VALUES = new Set(['vmid', 'delete', 'revert', 'digest', 'skiplock', 'force', 'background_delay']);
/** A running VM takes these at once; the rest waits for its next start. */
const LIVE = /^(?:name|description|tags|onboot|protection|startup|hotplug|lock|hookscript)$/;

/** Each option is first written as pending and then taken over, so a change of n options counts n + 1 writes. */
export async function set(verb: Verb): Promise<number> {
  const given = Object.entries(verb.call.params).filter(([key]) => key !== 'vmid' && key !== 'digest');
  if (given.length === 0) throw new ToolError('no options specified\n');
  await lockedVm(verb, undefined, async () => {
    const config = loadVm(verb.host, verb.vmid);
    if (!flag(verb, 'skiplock')) requireUnlocked(config);
    const words = given.map(([key, value]) => ` -${key} ${String(value)}`).join('');
    tell(verb, `update VM ${verb.vmid}:${words}`);
    verb.io.out(`update VM ${verb.vmid}:${words}\n`);
    const steps = change(verb, config, new Map(given.map(([key, value]) => [key, String(value)])));
    await atPoint(verb, 'before-config');
    storeVm(verb.host, { vmid: verb.vmid, steps: steps + 1 }, config);
  });
  return 0;
}

function change(verb: Verb, config: VmConfig, given: ReadonlyMap<string, string>): number {
  const isLater = (key: string): boolean => isRunning(verb) && !LIVE.test(key);
  const removed = splitList(text(verb, 'delete') ?? '');
  for (const key of splitList(text(verb, 'revert') ?? '')) config.pending.delete(key);
  for (const key of removed) {
    if (!config.values.has(key)) verb.io.err(`cannot delete '${key}' - not set in current configuration!\n`);
    else if (isLater(key))
      config.pending.set('delete', [...splitList(config.pending.get('delete') ?? ''), key].sort().join(','));
    else config.values.delete(key);
  }
  let steps = removed.length;
  for (const [key, value] of given) {
    if (NOT_VALUES.has(key)) continue;
    (isLater(key) ? config.pending : config.values).set(key, isNetKey(key) ? withAddress(verb, key, value) : value);
    steps += 1;
  }
  return steps;
}

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
