/** start, stop, shutdown, reboot (pve-container src/PVE/API2/LXC/Status.pm, src/PVE/LXC.pm vm_start, vm_stop). */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseUpid } from '@pxmgr/contract/upid';
import type { GuestConfig } from '../config-text.ts';
import { switchesOf } from '../fault.ts';
import { applyNow } from '../guest/apply.ts';
import { hasTemplateMark, requireDevice } from '../guest/change.ts';
import { loadConfig, requireUnlocked, storeConfig } from '../guest/config-store.ts';
import { idBase, resolveMounts } from '../guest/disks.ts';
import { runHook } from '../guest/hook.ts';
import { failDhcp } from '../guest/host-dhcp.ts';
import { usedVolumes } from '../guest/mount-point.ts';
import { requireBridge } from '../guest/network.ts';
import { requireQuorum } from '../pmxcfs.ts';
import { runningGuest } from '../running.ts';
import { runtimeOf } from '../runtime-of.ts';
import { findVolume, holdsContainers } from '../storages.ts';
import { runningTasks, type Task } from '../task.ts';
import { ToolError } from '../tool.ts';
import { atPoint, exit, flag, isRunning, lockedInTask, taskOf, text, type Verb } from './context.ts';

export async function start(verb: Verb): Promise<number> {
  if (isRunning(verb)) throw new ToolError(`CT ${verb.vmid} already running\n`);
  requireQuorum(verb.host);
  const end = await taskOf(verb, 'vzstart', (task) =>
    lockedInTask(verb, task, async () => {
      // Upstream asks systemd to start a unit that already runs, and waits for a change of state that does not come.
      if (isRunning(verb)) {
        task.log('problem with monitor socket, but continuing anyway: got timeout\n\n');
        return;
      }
      const config = loadConfig(verb.host, verb.vmid, task.log);
      if (hasTemplateMark(config)) throw new ToolError("you can't start a CT if it's a template\n");
      if (!flag(verb, 'skiplock') && config.values.get('lock') !== 'mounted') requireUnlocked(config);
      await bringUp(verb, task, config);
    }),
  );
  return exit(end);
}

export async function bringUp(verb: Verb, task: Task, config: GuestConfig): Promise<void> {
  const { host, vmid } = verb;
  if (config.pending.values.size > 0) {
    await applyNow(config, { host, vmid, log: task.log, warn: task.log });
    storeConfig(host, vmid, config);
  }
  await atPoint(verb, 'before-start');
  if (!config.values.has('arch'))
    throw new ToolError("missing 'arch' - internal error at /usr/share/perl5/PVE/LXC.pm line 729.\n");
  for (const [key, value] of config.values) {
    if (/^dev\d+$/.test(key)) requireDevice(host, value);
    if (/^net\d+$/.test(key)) requireBridge(host, value);
  }
  const [root, ...mounts] = await resolveMounts(host, config);
  requireContent(verb, task, config);
  if (root === undefined) throw new ToolError("missing 'rootfs' configuration\n");
  await runHook({ host, vmid, config, log: task.log, signal: task.signal }, 'pre-start');
  const runtime = await runtimeOf(host);
  const result = await runtime.start({
    host,
    vmid,
    config,
    rootfs: root.source,
    mounts,
    unprivileged: idBase(config) > 0,
    log: task.log,
    signal: task.signal,
  });
  if (!result.ok) throw new ToolError(`${result.error}\n`);
  if (switchesOf(host).noApparmor === true)
    failDhcp(config, { vmid, pid: runningGuest(host, vmid)?.pid ?? 0, log: task.log, warn: task.warn });
  await atPoint(verb, 'after-start');
  await runHook({ host, vmid, config, log: task.log, signal: task.signal }, 'post-start');
}

/** Upstream's pre-start hook refuses storages without the content type `rootdir`; only LXC's words are seen. */
function requireContent(verb: Verb, task: Task, config: GuestConfig): void {
  const isFine = usedVolumes(config).every((volid) => holdsContainers(findVolume(verb.host, volid).storage));
  if (isFine) return;
  task.log(
    `run_buffer: 571 Script exited with status 25\nlxc_init: 845 Failed to run lxc.hook.pre-start for container "${verb.vmid}"\n`,
  );
  task.log(`__lxc_start: 2047 Failed to initialize container "${verb.vmid}"\n`);
  throw new ToolError(`startup for container '${verb.vmid}' failed\n`);
}

export async function stop(verb: Verb): Promise<number> {
  if (!isRunning(verb)) throw new ToolError(`CT ${verb.vmid} not running\n`);
  const end = await taskOf(verb, 'vzstop', async (task) => {
    if (flag(verb, 'overrule-shutdown')) overruleShutdowns(verb, task);
    await lockedInTask(verb, task, async () => {
      const config = loadConfig(verb.host, verb.vmid, task.log);
      if (!flag(verb, 'skiplock') && config.values.get('lock') !== 'mounted') requireUnlocked(config);
      await killGuest(verb, task, config);
    });
  });
  return exit(end);
}

function overruleShutdowns(verb: Verb, task: Task): void {
  const upids = runningTasks(verb.host, 'vzshutdown', String(verb.vmid));
  for (const upid of upids) {
    const pid = parseUpid(upid)?.pid;
    if (pid !== undefined && pid !== process.pid) process.kill(pid, 'SIGTERM');
  }
  if (upids.length > 0) task.log(`overruled vzshutdown tasks: ${upids.join(', ')}\n`);
}

export async function killGuest(verb: Verb, task: Task, config: GuestConfig): Promise<void> {
  const { host, vmid } = verb;
  if (runningGuest(host, vmid) === undefined) return;
  await runHook({ host, vmid, config, log: task.log, signal: task.signal }, 'pre-stop');
  await (await runtimeOf(host)).stop(host, vmid, task.log);
  await afterStop(verb);
}

/** Upstream's post-stop hook loads the config, and writes it back some time later without any lock. */
async function afterStop(verb: Verb): Promise<void> {
  const delayMs = switchesOf(verb.host).postStopRewriteMs;
  if (delayMs === undefined) return;
  const config = loadConfig(verb.host, verb.vmid, () => undefined);
  await sleep(delayMs);
  storeConfig(verb.host, verb.vmid, config);
}

export async function shutdown(verb: Verb): Promise<number> {
  if (!isRunning(verb)) throw new ToolError(`CT ${verb.vmid} not running\n`);
  const end = await taskOf(verb, 'vzshutdown', (task) =>
    lockedInTask(verb, task, async () => {
      const config = loadConfig(verb.host, verb.vmid, task.log);
      requireUnlocked(config);
      await halt(verb, task, {
        config,
        timeoutSeconds: Number(text(verb, 'timeout') ?? 60),
        thenKill: flag(verb, 'forceStop'),
      });
    }),
  );
  return exit(end);
}

interface Halt {
  readonly config: GuestConfig;
  readonly timeoutSeconds: number;
  readonly thenKill: boolean;
}

/** A guest that does not react costs the time twice and five seconds more: lxc-stop's own limit, then upstream's. */
export async function halt(verb: Verb, task: Task, { config, timeoutSeconds, thenKill }: Halt): Promise<void> {
  const { host, vmid } = verb;
  if (runningGuest(host, vmid) === undefined) return;
  await runHook({ host, vmid, config, log: task.log, signal: task.signal }, 'pre-stop');
  await atPoint(verb, 'before-halt');
  const runtime = await runtimeOf(host);
  const wait = (timeoutMs: number, signal: AbortSignal): Promise<boolean> =>
    runtime.shutdown(host, vmid, { timeoutMs, log: task.log, signal });
  if (await wait(timeoutSeconds * 1000, task.signal)) return afterStop(verb);
  if (thenKill) return killGuest(verb, task, config);
  const reason = task.signal.aborted ? 'received interrupt' : 'exit code 1';
  task.log(`command 'lxc-stop -n ${vmid} --nokill --timeout ${timeoutSeconds}' failed: ${reason}\n`);
  if (await wait((timeoutSeconds + 5) * 1000, task.signal)) return afterStop(verb);
  throw new ToolError('container did not stop\n');
}

export async function reboot(verb: Verb): Promise<number> {
  if (!isRunning(verb)) throw new ToolError(`VM ${verb.vmid} not running\n`);
  const end = await taskOf(verb, 'vzreboot', (task) =>
    lockedInTask(verb, task, async () => {
      const before = loadConfig(verb.host, verb.vmid, task.log);
      await halt(verb, task, { config: before, timeoutSeconds: Number(text(verb, 'timeout') ?? 60), thenKill: true });
      await bringUp(verb, task, loadConfig(verb.host, verb.vmid, task.log));
    }),
  );
  return exit(end);
}
