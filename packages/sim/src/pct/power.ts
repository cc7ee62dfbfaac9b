/** start, stop, shutdown, reboot (pve-container src/PVE/API2/LXC/Status.pm, src/PVE/LXC.pm vm_start, vm_stop). */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseUpid } from '@pxmgr/contract/upid';
import { switchesOf } from '../call/fault.ts';
import { ToolError } from '../call/tool.ts';
import { requireQuorum } from '../cluster/pmxcfs.ts';
import { runningTasks, type Task } from '../cluster/task.ts';
import { applyNow } from '../guest/apply.ts';
import { hasTemplateMark } from '../guest/change.ts';
import { loadConfig, requireUnlocked, storeConfig } from '../guest/config-store.ts';
import { idBase, resolveMounts } from '../guest/disks.ts';
import { isHaManaged, leaveCommand, requestStart } from '../guest/ha.ts';
import { runHook } from '../guest/hook.ts';
import { failDhcp } from '../guest/host-dhcp.ts';
import { requireLxcConfig } from '../guest/lxc-config.ts';
import { mountPoints, usedVolumes } from '../guest/mount-point.ts';
import { runningGuest } from '../host/running.ts';
import { runtimeOf } from '../runtime/of-host.ts';
import { parameterError } from '../schema/command.ts';
import { findVolume, holdsContainers } from '../storage/storages.ts';
import type { GuestConfig } from '../text/guest-config.ts';
import { atPoint, exit, flag, isRunning, lockedInTask, taskOf, text, type Verb } from './context.ts';

export async function start(verb: Verb): Promise<number> {
  if (isRunning(verb)) throw new ToolError(`CT ${verb.vmid} already running\n`);
  requireQuorum(verb.host);
  if (isHaManaged(verb.host, verb.vmid)) return askHa(verb, 'start', () => requestStart(verb.host, verb.vmid));
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
      requireNoQuota(config);
      await bringUp(verb, task, config);
    }),
  );
  return exit(end);
}

/** A task inside another one: what it says, its error included, is output there, and its failure is none. */
export async function startWithin(verb: Verb, task: Task, host = verb.host): Promise<void> {
  const put = (data: string | Uint8Array): void => task.log(Buffer.from(data).toString());
  await start({ ...verb, host, io: { ...verb.io, out: put, err: put } });
}

/** A guest that HA manages is started and stopped by its manager; the tool only asks. */
async function askHa(verb: Verb, what: 'start' | 'stop', ask: () => void): Promise<number> {
  const end = await taskOf(verb, `ha${what}`, async (task) => {
    task.log(`Requesting HA ${what} for CT ${verb.vmid}\n`);
    ask();
  });
  return exit(end);
}

function requireNoQuota(config: GuestConfig): void {
  const hasQuota = mountPoints(config).some((point) => point.values['quota'] === '1');
  if (config.values.get('unprivileged') === '1' && hasQuota)
    throw new ToolError('Quotas are not supported by unprivileged containers.\n');
}

export async function bringUp(verb: Verb, task: Task, config: GuestConfig): Promise<void> {
  const { host, vmid } = verb;
  if (config.pending.values.size > 0) {
    await applyNow(config, { host, vmid, log: task.log, warn: task.log });
    storeConfig(host, vmid, config);
  }
  await atPoint(verb, 'before-start');
  requireLxcConfig(host, config);
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
  if (isHaManaged(verb.host, verb.vmid)) {
    if (flag(verb, 'overrule-shutdown'))
      throw parameterError(verb.call, { 'overrule-shutdown': 'Not applicable for HA resources.' });
    return askHa(verb, 'stop', () => leaveCommand(verb.host, `stop ct:${verb.vmid} 0`));
  }
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
  await kill(verb, task);
}

async function kill(verb: Verb, task: Task): Promise<void> {
  await (await runtimeOf(verb.host)).stop(verb.host, verb.vmid, task.log);
  await afterStop(verb, task);
}

/**
 * LXC's post-stop hook, which nobody's lock covers: the config is read, what waits in it is applied, and it is written
 * back in any case, before the command ends. What it says is lost (pve-container src/lxc-pve-poststop-hook).
 */
async function afterStop(verb: Verb, task: Task): Promise<void> {
  const { host, vmid } = verb;
  const unheard = (): void => undefined;
  const config = loadConfig(host, vmid, unheard);
  await sleep(switchesOf(host).postStopRewriteMs ?? 0);
  try {
    await applyNow(config, { host, vmid, log: unheard, warn: unheard });
    storeConfig(host, vmid, config);
  } catch (err) {
    if (!(err instanceof ToolError)) throw err;
  }
  await runHook({ host, vmid, config, log: unheard, signal: task.signal }, 'post-stop');
}

export async function shutdown(verb: Verb): Promise<number> {
  if (!isRunning(verb)) throw new ToolError(`CT ${verb.vmid} not running\n`);
  if (isHaManaged(verb.host, verb.vmid)) {
    const command = `stop ct:${verb.vmid} ${text(verb, 'timeout') ?? '60'}`;
    return askHa(verb, 'stop', () => leaveCommand(verb.host, command));
  }
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
  if (await wait(timeoutSeconds * 1000, task.signal)) return afterStop(verb, task);
  if (thenKill) return kill(verb, task);
  const reason = task.signal.aborted ? 'received interrupt' : 'exit code 1';
  task.log(`command 'lxc-stop -n ${vmid} --nokill --timeout ${timeoutSeconds}' failed: ${reason}\n`);
  if (await wait((timeoutSeconds + 5) * 1000, task.signal)) return afterStop(verb, task);
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
