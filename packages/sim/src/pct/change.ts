/** set, unlock, destroy (pve-container src/PVE/API2/LXC/Config.pm update_vm, src/PVE/API2/LXC.pm destroy_vm). */
import { rmSync } from 'node:fs';
import { ToolError } from '../call/tool.ts';
import { countWrites } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { strayStatus } from '../guest/apply.ts';
import { applyChange } from '../guest/change.ts';
import {
  loadConfig,
  removeConfig,
  requireUnlocked,
  requireUnprotected,
  storeConfig,
  storeInSteps,
} from '../guest/config-store.ts';
import { destroyDisks, destroyVolumes } from '../guest/disks.ts';
import { isConfigured, leaveCommand, removeResource } from '../guest/ha.ts';
import { requireLxcConfig } from '../guest/lxc-config.ts';
import { removeFromPool } from '../guest/pools.ts';
import { clampCpuUnits, configProperty } from '../guest/syntax.ts';
import { parameterError } from '../schema/command.ts';
import { splitList } from '../schema/format.ts';
import { enabledStorage, volumeBackend } from '../storage/storages.ts';
import { emptyConfig, type GuestConfig } from '../text/guest-config.ts';
import { atPoint, exit, flag, isRunning, locked, lockedInTask, taskOf, text, type Verb } from './context.ts';
import { killGuest } from './power.ts';

const NOT_VALUES = new Set(['vmid', 'delete', 'revert', 'digest']);

export async function set(verb: Verb): Promise<number> {
  const { host, vmid, io, call } = verb;
  const given = Object.entries(call.params).filter(([key]) => key !== 'vmid' && key !== 'digest');
  if (given.length === 0) throw new ToolError('no options specified\n');
  const values = new Map(
    given
      .filter(([key]) => !NOT_VALUES.has(key))
      .map(([key, value]) => [key, key === 'cpuunits' ? clampCpuUnits(host, String(value)) : String(value)]),
  );
  const remove = splitList(text(verb, 'delete') ?? '');
  const revert = splitList(text(verb, 'revert') ?? '');
  await locked(verb, async () => {
    await atPoint(verb, 'after-lock');
    const config = loadConfig(host, vmid, io.err);
    requireUnlocked(config);
    requireDigest(verb, config);
    const rightsTo = (asked: { values?: typeof values; remove?: readonly string[] }): void =>
      verb.checkRights?.({
        values: new Map(),
        remove: [],
        ...asked,
        config,
        isUnprivileged: config.values.get('unprivileged') === '1',
      });
    rightsTo({ remove: [...remove, ...revert] });
    checkLists(verb, { values, remove, revert });
    rightsTo({ values });
    let steps = 1;
    const errors = await applyChange(config, {
      host,
      vmid,
      values,
      remove,
      revert,
      isRunning: isRunning(verb),
      log: io.out,
      warn: io.err,
      onWrites: (count) => void (steps += count),
    });
    // Raised after the attempt to change the running guest, so the status is what its last failed step left.
    if (Object.keys(errors).length > 0) throw parameterError(call, errors, isRunning(verb) ? strayStatus(errors) : 255);
    await atPoint(verb, 'before-config');
    storeInSteps(host, { vmid, steps }, config);
    requireLxcConfig(host, loadConfig(host, vmid, io.err));
  });
  return 0;
}

function requireDigest(verb: Verb, config: GuestConfig): void {
  const digest = text(verb, 'digest');
  if (digest !== undefined && digest !== '' && digest !== config.digest) {
    throw new ToolError('detected modified configuration - file changed by other user? Try again.\n');
  }
}

function checkLists(
  verb: Verb,
  lists: { values: ReadonlyMap<string, string>; remove: readonly string[]; revert: readonly string[] },
): void {
  const refuse = (field: string, reason: string): never => {
    throw parameterError(verb.call, { [field]: reason });
  };
  for (const key of lists.revert) {
    if (configProperty(key) === undefined) refuse('revert', `unknown option '${key}'`);
    if (lists.values.has(key)) refuse('revert', `you can't use '-${key}' and '-revert ${key}' at the same time`);
  }
  for (const key of lists.remove) {
    if (configProperty(key) === undefined) refuse('delete', `unknown option '${key}'`);
    if (lists.values.has(key)) refuse('delete', `you can't use '-${key}' and -delete ${key}' at the same time`);
    if (lists.revert.includes(key))
      refuse('delete', `you can't use '-delete ${key}' and '-revert ${key}' at the same time`);
  }
}

export async function unlock(verb: Verb): Promise<number> {
  const { host, vmid, io } = verb;
  await locked(verb, async () => {
    const config = loadConfig(host, vmid, io.err);
    if ((config.values.get('lock') ?? '') === '') throw new ToolError('no lock found trying to remove any lock\n');
    config.values.delete('lock');
    storeConfig(host, vmid, config);
  });
  return 0;
}

export async function destroy(verb: Verb): Promise<number> {
  const { host, vmid, io } = verb;
  const refusal = `unable to destroy CT ${vmid} - container is running\n`;
  checkDestroy(verb, loadConfig(host, vmid, io.err));
  if (!flag(verb, 'force') && isRunning(verb)) throw new ToolError(refusal);
  const end = await taskOf(verb, 'vzdestroy', (task) =>
    lockedInTask(verb, task, async () => {
      // Read before by the same process, so the parser's warnings are not said again.
      const config = loadConfig(host, vmid, () => undefined);
      checkDestroy(verb, config);
      if (isRunning(verb)) {
        if (!flag(verb, 'force')) throw new ToolError(refusal);
        task.log(`forced to stop CT ${vmid} before destroying!\n`);
        if (isConfigured(host, vmid)) leaveCommand(host, `stop ct:${vmid} 120`);
        else await killGuest(verb, task, config);
      }
      await remove(verb, task, config);
    }),
  );
  return exit(end);
}

function checkDestroy(verb: Verb, config: GuestConfig): void {
  requireUnprotected(config, `can't remove CT ${verb.vmid}`);
  requireUnlocked(config);
  if (isConfigured(verb.host, verb.vmid) && !flag(verb, 'purge'))
    throw new ToolError(`unable to remove CT ${verb.vmid} - used in HA resources and purge parameter not set.\n`);
}

async function remove(verb: Verb, task: Task, config: GuestConfig): Promise<void> {
  const { host, vmid } = verb;
  const work = { host, vmid, log: task.log };
  await destroyVolumes(work, config, () => atPoint(verb, 'after-volume'));
  if (flag(verb, 'destroy-unreferenced-disks')) await destroyDisks(work, await unreferenced(verb));
  rmSync(host.path(`/var/lib/lxc/${vmid}`), { recursive: true, force: true });
  if (host.runtime === 'lxc') {
    // What a node has in the directory above; loaded only here, since played hosts need no LXC.
    const { lxcGuest } = await import('../lxc/lxc-command.ts');
    rmSync(lxcGuest(host, vmid).directory, { recursive: true, force: true });
  }
  await atPoint(verb, 'before-config');
  const stub = emptyConfig();
  stub.values.set('lock', 'destroyed');
  storeConfig(host, vmid, stub);
  removeFromPool(host, vmid);
  rmSync(host.clusterPath('firewall', `${vmid}.fw`), { force: true });
  if (flag(verb, 'purge')) purge(verb, task);
  await atPoint(verb, 'before-removal');
  removeConfig(host, vmid);
}

function purge({ host, vmid }: Verb, task: Task): void {
  task.log(`purging CT ${vmid} from related configurations..\n`);
  countWrites(host, ['replication.cfg', 'vzdump.cron']);
  if (!isConfigured(host, vmid)) return;
  removeResource(host, vmid);
  task.log(`NOTE: removed CT ${vmid} from HA resource configuration.\n`);
}

async function unreferenced(verb: Verb): Promise<string[]> {
  const found: string[] = [];
  for (const { id } of verb.host.storages()) {
    try {
      const storage = enabledStorage(verb.host, id);
      const rows = await (await volumeBackend(storage)).list(verb.host, storage);
      found.push(...rows.filter((row) => row.vmid === verb.vmid).map((row) => row.volid));
    } catch {
      // storages that are off or not local are passed over
    }
  }
  return found;
}
