/** start, stop, shutdown, reboot: played, since no VM really runs. What is off already is no error for stop and shutdown. */

import { ToolError } from '../call/tool.ts';
import { readPveFile, requireQuorum } from '../cluster/pmxcfs.ts';
import type { Task } from '../cluster/task.ts';
import { publishStopped } from '../host/running.ts';
import { exit, flag, isRunning, taskOf, type Verb } from '../pct/context.ts';
import { playGuests } from '../runtime/played.ts';
import { disksOf, type VmConfig } from '../text/vm-config.ts';
import { isTemplate, loadVm, lockedVm, requireUnlocked, storeVm, usable, vmPath } from './vm.ts';

export async function start(verb: Verb): Promise<number> {
  requireQuorum(verb.host);
  const end = await taskOf(verb, 'qmstart', (task) =>
    lockedVm(verb, task, async () => {
      const config = loadVm(verb.host, verb.vmid);
      if (!flag(verb, 'skiplock')) requireUnlocked(config);
      if (isRunning(verb)) throw new ToolError(`VM ${verb.vmid} already running\n`);
      if (isTemplate(config)) throw new ToolError("you can't start a vm if it's a template\n");
      await powerOn(verb, config);
    }),
  );
  return exit(end);
}

/** A task inside another one: all it says is output there, and its failure is none. */
export async function startWithin(verb: Verb, task: Task): Promise<void> {
  const put = (data: string | Uint8Array): void => task.log(Buffer.from(data).toString());
  await start({ ...verb, io: { ...verb.io, out: put, err: put } });
}

async function powerOn(verb: Verb, config: VmConfig): Promise<void> {
  const { host, vmid } = verb;
  if (config.pending.size > 0) {
    applyPending(config);
    storeVm(host, verb, config);
  }
  for (const { volume } of disksOf(config.values)) await usable(host, volume);
  playGuests(host, [{ vmid, kind: 'qemu', values: config.values, since: Math.floor(Date.now() / 1000) }]);
}

/** What a running VM did not take comes into force at its next start. */
export function applyPending(config: VmConfig): void {
  const removed = (config.pending.get('delete') ?? '').split(',').filter((key) => key !== '');
  for (const key of removed) config.values.delete(key.replace(/^!/, ''));
  for (const [key, value] of config.pending) if (key !== 'delete') config.values.set(key, value);
  config.pending.clear();
}

async function halt(verb: Verb, task: Task): Promise<void> {
  await lockedVm(verb, task, async () => {
    requireConfig(verb);
    if (!isRunning(verb)) return;
    if (!flag(verb, 'skiplock')) requireUnlocked(loadVm(verb.host, verb.vmid));
    publishStopped(verb.host, verb.vmid);
  });
}

export async function stop(verb: Verb): Promise<number> {
  return exit(await taskOf(verb, 'qmstop', (task) => halt(verb, task)));
}

export async function shutdown(verb: Verb): Promise<number> {
  askWhetherPaused(verb);
  return exit(await taskOf(verb, 'qmshutdown', (task) => halt(verb, task)));
}

export async function reboot(verb: Verb): Promise<number> {
  askWhetherPaused(verb);
  requireRunning(verb);
  const end = await taskOf(verb, 'qmreboot', async (task) => {
    await halt(verb, task);
    await lockedVm(verb, task, () => powerOn(verb, loadVm(verb.host, verb.vmid)));
  });
  return exit(end);
}

/** Asked first; a VM that cannot answer is told of, and taken for one that is not paused (qemu-server src/PVE/QemuServer.pm vm_is_paused). */
function askWhetherPaused(verb: Verb): void {
  const why = missingConfig(verb) ?? (isRunning(verb) ? undefined : notRunning(verb));
  if (why !== undefined) verb.io.err(`${why}\n`);
}

export async function reset(verb: Verb): Promise<number> {
  requireRunning(verb);
  return exit(await taskOf(verb, 'qmreset', (task) => whileUp(verb, task)));
}

/** A paused VM still has its process, so nothing of it changes here. */
export async function suspend(verb: Verb): Promise<number> {
  requireRunning(verb);
  if (flag(verb, 'todisk')) throw new ToolError('suspending to disk is not part of this stand-in\n');
  return exit(await taskOf(verb, 'qmpause', (task) => whileUp(verb, task)));
}

export async function resume(verb: Verb): Promise<number> {
  requireRunning(verb);
  return exit(await taskOf(verb, 'qmresume', (task) => whileUp(verb, task)));
}

/** The last system call before either text found no file: of a config, of a process id. */
const NO_FILE = 2;

function requireRunning(verb: Verb): void {
  requireConfig(verb);
  if (!isRunning(verb)) throw new ToolError(notRunning(verb), NO_FILE);
}

/** qemu-server src/PVE/QemuConfig.pm assert_config_exists_on_node. */
function requireConfig(verb: Verb): void {
  const missing = missingConfig(verb);
  if (missing !== undefined) throw new ToolError(missing, NO_FILE);
}

function missingConfig({ host, vmid }: Verb): string | undefined {
  if (readPveFile(host, vmPath(host, vmid)) !== undefined) return undefined;
  return `unable to find configuration file for VM ${vmid} on node '${host.name}'\n`;
}

function notRunning({ vmid }: Verb): string {
  return `VM ${vmid} not running\n`;
}

function whileUp(verb: Verb, task: Task): Promise<void> {
  return lockedVm(verb, task, async () => {
    if (!flag(verb, 'skiplock')) requireUnlocked(loadVm(verb.host, verb.vmid));
  });
}
