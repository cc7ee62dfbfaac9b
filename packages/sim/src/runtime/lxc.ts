/**
 * The runtime that really starts containers, with the LXC of the machine (Debian's lxc, 5.0 or later; see
 * lxc/can-run.ts for what it needs). The guest's directory `<root>/.sim/lxc/<name>` holds its LXC files. LXC's monitor
 * is the only process that stays; its hooks mount before the start (lxc/staging.ts) and clean up after the end
 * (lxc/ended.ts). What a node shows of a running guest is published by running.ts.
 * Not followed: a guest that reboots itself is shown as stopped.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ToolIo } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { publishRunning, runningGuest } from '../host/running.ts';
import { canRunLxc } from '../lxc/can-run.ts';
import { guestEnded, writeEndHook } from '../lxc/ended.ts';
import { entryWords } from '../lxc/entry-words.ts';
import { linkFigures } from '../lxc/figures.ts';
import { lxcConfigOf } from '../lxc/guest-config.ts';
import {
  configFile,
  type LxcGuest,
  lxcCommand,
  lxcGuest,
  lxcInitPid,
  lxcRunner,
  lxcState,
  onGuest,
} from '../lxc/lxc-command.ts';
import { prepareNetwork, publishAddresses } from '../lxc/network.ts';
import { type Stage, writeStaging } from '../lxc/staging.ts';
import { GuestTree, pathParts } from '../oci/guest-tree.ts';
import { perlBytes } from '../text/code.ts';
import { playedRuntime } from './played.ts';
import type { ExecRequest, GuestRuntime, StartContext, StartResult } from './runtime.ts';

/** On a machine that cannot run containers the guests of such a host are played, and each start says so. */
export const lxcRuntime: GuestRuntime = {
  kind: 'lxc',
  start: async (context) => {
    const ability = await canRunLxc();
    if (ability.ok) return start(context);
    context.log(`stand-in: containers do not run on this machine (${ability.reason}); this one is only played\n`);
    return playedRuntime.start(context);
  },
  stop: (host, vmid, log) => (isPlayed(host, vmid) ? playedRuntime.stop(host, vmid, log) : stop(host, vmid, log)),
  shutdown: (host, vmid, options) =>
    isPlayed(host, vmid) ? playedRuntime.shutdown(host, vmid, options) : shutdown(host, vmid, options),
  exec: (host, vmid, request) =>
    isPlayed(host, vmid) ? playedRuntime.exec(host, vmid, request) : exec(host, vmid, request),
  isRunning: (host, vmid) => (isPlayed(host, vmid) ? playedRuntime.isRunning(host, vmid) : isRunning(host, vmid)),
};

function isPlayed(host: Host, vmid: number): boolean {
  return runningGuest(host, vmid)?.isPlayed === true;
}

async function start(context: StartContext): Promise<StartResult> {
  const { host, vmid } = context;
  const guest = lxcGuest(host, vmid);
  rmSync(guest.directory, { recursive: true, force: true });
  mkdirSync(guest.directory, { recursive: true });
  mkdirSync(host.path('/var/log/lxc'), { recursive: true });
  const network = await prepareNetwork(host, guest, context);
  try {
    writeConfig(context, guest, network.lxcLines);
  } catch (err) {
    await guestEnded(host, vmid);
    return { ok: false, error: (err as Error).message };
  }
  const failure = await startDaemon(guest, context);
  if (failure !== undefined) {
    await guestEnded(host, vmid);
    return { ok: false, error: failure };
  }
  const pid = await lxcInitPid(guest);
  if (pid === undefined) return gone(host, vmid);
  publishRunning(host, { vmid, kind: 'lxc', pid, since: Date.now(), isPlayed: false });
  linkFigures(host, guest);
  await publishAddresses(host, guest, { network, log: (text) => context.log(text) });
  // The hook of a guest that ended at once may have run before it was published.
  return (await lxcState(guest)) === 'STOPPED' ? gone(host, vmid) : { ok: true, pid };
}

async function gone(host: Host, vmid: number): Promise<StartResult> {
  await guestEnded(host, vmid);
  return { ok: false, error: `unable to get PID for CT ${vmid} (not running?)` };
}

function writeConfig(context: StartContext, guest: LxcGuest, network: readonly string[]): void {
  const { host, vmid, config, unprivileged } = context;
  const { lines, stages } = lxcConfigOf({ host, vmid, config, unprivileged, network });
  const hooks = [
    `lxc.hook.pre-start = ${writeStaging(guest.directory, vmid, [...treeStages(context), ...stages])}`,
    `lxc.hook.post-stop = ${writeEndHook(host, guest)}`,
  ];
  writeFileSync(configFile(guest), perlBytes(`${[...lines, ...hooks].join('\n')}\n`));
}

/** The root, then each mount at the real directory its path leads to inside the root; missing directories are made. */
function treeStages({ rootfs, mounts, unprivileged }: StartContext): Stage[] {
  const tree = new GuestTree({ root: rootfs, mounts: [], idBase: unprivileged ? 100_000 : 0 });
  const stages: Stage[] = [{ kind: 'bind', source: rootfs, target: 'rootfs', readOnly: false }];
  for (const { source, target, readOnly } of mounts) {
    const parts = pathParts(target) ?? [];
    if (!existsSync(source)) throw new Error(`cannot mount ${target}: ${source} does not exist`);
    if (!mounts.some((other) => target.startsWith(`${other.target}/`))) tree.directory(parts);
    stages.push({ kind: 'bind', source, target: `rootfs/${parts.join('/')}`, readOnly });
  }
  return stages;
}

/** undefined when the guest runs, else the task's error text. */
async function startDaemon(guest: LxcGuest, context: StartContext): Promise<string | undefined> {
  const logFile = join(guest.directory, 'lxc.log');
  const args = [
    ...onGuest(guest),
    '-d',
    '-o',
    logFile,
    '-l',
    'ERROR',
    '--',
    ...entryWords(context.config.values.get('entrypoint') ?? '/sbin/init'),
  ];
  const result = await lxcRunner().run(lxcCommand('lxc-start', args, { purpose: 'start a guest', timeoutMs: 60_000 }), {
    signal: context.signal,
  });
  if (result.exitCode === 0) return undefined;
  if (context.signal.aborted) return 'received interrupt';
  const messages = startErrors(logFile).replaceAll(guest.name, String(guest.vmid));
  writeFileSync(context.host.path(`/run/pve/ct-${guest.vmid}.stderr`), messages);
  context.log(messages);
  return `startup for container '${guest.vmid}' failed`;
}

/** A node starts guests in the foreground and does not see these. */
const ONLY_OF_DAEMON = new Set(['main', 'wait_on_daemonized_start', '__lxc_start']);

/** `function: line message` as lxc-start prints errors on its stderr, which is where a node takes them from. */
function startErrors(logFile: string): string {
  if (!existsSync(logFile)) return '';
  const lines = readFileSync(logFile, 'utf8')
    .split('\n')
    .map((line) => /ERROR\s+\S+ - \S+\.c:(\w+):(\d+) - (.*)$/.exec(line));
  return lines
    .filter((match) => match !== null && !ONLY_OF_DAEMON.has(match[1] ?? ''))
    .map((match) => `${match?.[1] ?? ''}: ${match?.[2] ?? ''} ${match?.[3] ?? ''}\n`)
    .join('');
}

async function stop(host: Host, vmid: number, log: (text: string) => void): Promise<void> {
  await lxcStop(lxcGuest(host, vmid), ['-k']);
  if ((await lxcState(lxcGuest(host, vmid))) !== 'STOPPED') log('stand-in: lxc-stop left the guest running\n');
  // The hook has done it already; a hook that could not start would leave the guest shown as running.
  await guestEnded(host, vmid);
}

async function shutdown(
  host: Host,
  vmid: number,
  options: { timeoutMs: number; log: (text: string) => void; signal: AbortSignal },
): Promise<boolean> {
  const seconds = Math.max(1, Math.ceil(options.timeoutMs / 1000));
  const exitCode = await lxcStop(lxcGuest(host, vmid), ['--nokill', '-t', String(seconds)], options.signal);
  if (await isRunning(host, vmid)) {
    options.log(`command 'lxc-stop -n ${vmid} --nokill --timeout ${seconds}' failed: exit code ${exitCode ?? 1}\n`);
    return false;
  }
  await guestEnded(host, vmid);
  return true;
}

async function lxcStop(guest: LxcGuest, args: readonly string[], signal?: AbortSignal): Promise<number | null> {
  if ((await lxcState(guest)) === 'STOPPED') return 0;
  const command = lxcCommand('lxc-stop', [...onGuest(guest), ...args], { purpose: 'stop a guest' });
  return (await lxcRunner().run(command, signal === undefined ? {} : { signal })).exitCode;
}

async function isRunning(host: Host, vmid: number): Promise<boolean> {
  return runningGuest(host, vmid) !== undefined && (await lxcState(lxcGuest(host, vmid))) !== 'STOPPED';
}

/** What the tools of a node set before anything else (pve-common src/PVE/CLIHandler.pm). */
const GUEST_PATH = '/sbin:/bin:/usr/sbin:/usr/bin';

/** lxc-attach runs the program in the guest; its streams are passed on as they come, and its status is the answer. */
async function exec(host: Host, vmid: number, request: ExecRequest): Promise<number> {
  const guest = lxcGuest(host, vmid);
  const { io } = request;
  const args = [...onGuest(guest), ...attachOptions(request), '--', ...request.argv];
  const env = request.keepEnv
    ? Object.fromEntries(
        Object.entries(io.env).filter((pair): pair is [string, string] => pair[1] !== undefined && pair[0] !== 'PATH'),
      )
    : {};
  const running = lxcRunner().start(
    { ...lxcCommand('lxc-attach', args, { purpose: 'run a command in a guest' }), env, cwd: '/' },
    { signal: io.signal },
  );
  const output = passOn(running.stdout, io);
  running.stderr.on('data', (part: Buffer) => io.err(part.toString('utf8').replaceAll(guest.name, String(vmid))));
  running.stdin.on('error', () => undefined); // the program may end without reading its input
  void feed(io.stdin, running.stdin);
  const result = await running.done;
  await output;
  return result.exitCode ?? 255;
}

/** No faster than our reader reads: the real one gives its own streams to the program, and keeps nothing. */
async function passOn(from: AsyncIterable<Uint8Array>, io: ToolIo): Promise<void> {
  for await (const part of from) {
    io.out(part);
    await io.flush?.();
  }
}

function attachOptions(request: ExecRequest): string[] {
  return [
    ...(request.keepEnv ? ['--set-var', `PATH=${GUEST_PATH}`] : ['--clear-env']),
    ...(request.setVars ?? []).flatMap((item) => ['--set-var', item]),
    ...(request.uid === undefined ? [] : ['-u', String(request.uid)]),
    ...(request.gid === undefined ? [] : ['-g', String(request.gid)]),
  ];
}

async function feed(from: AsyncIterable<Uint8Array>, to: NodeJS.WritableStream): Promise<void> {
  for await (const part of from) {
    if (!to.write(part)) await new Promise<void>((resolve) => to.once('drain', resolve).once('close', resolve));
  }
  to.end();
}
