/**
 * Why a played guest does not start: what can be told from its config and files without running anything, in the words
 * that LXC and the tools around it use (LXC 6.0 src/lxc/start.c, sync.c, attach.c).
 */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { scaledWait, switchesOf } from '../call/switches.ts';
import { guestPath } from '../guest/os-setup.ts';
import { entryWords } from '../lxc/entry-words.ts';
import type { StartContext } from './runtime.ts';

const SOCKET_WAIT_MS = 10_000;
const SIGNALS =
  /^(?:\d+|SIG(?:HUP|INT|QUIT|ILL|TRAP|ABRT|IOT|BUS|FPE|KILL|USR1|SEGV|USR2|PIPE|ALRM|TERM|STKFLT|CHLD|CONT|STOP|TSTP|TTIN|TTOU|URG|XCPU|XFSZ|VTALRM|PROF|WINCH|IO|POLL|PWR|SYS|RTMIN(?:\+\d+)?|RTMAX(?:-\d+)?))$/;
const MAPPED_IDS = 65_536;

/** The task's error text; undefined when nothing speaks against the start. */
export async function playedFailure(context: StartContext): Promise<string | undefined> {
  const { host, vmid, config, log, signal } = context;
  const line = refusedLine(config.raw, config.values.get('env'));
  if (line !== undefined) {
    await sleep(scaledWait(host, SOCKET_WAIT_MS), undefined, { signal }).catch(() => undefined);
    log('problem with monitor socket, but continuing anyway: got timeout\n\n');
    log(
      `lxc-info: ${vmid}: ../src/lxc/parse.c: lxc_file_for_each_line_mmap: 129 Failed to parse config file "/var/lib/lxc/${vmid}/config" at line "${line}"\nFailed to load config for ${vmid}\nFailure to retrieve information on /var/lib/lxc:${vmid}\n`,
    );
    return `command 'lxc-info -n ${vmid} -p' failed: exit code 1`;
  }
  const spawn = spawnFailure(context);
  if (spawn !== undefined) {
    log(spawn);
    return `startup for container '${vmid}' failed`;
  }
  if (switchesOf(host).exitAtStart?.includes(vmid) !== true && !endsAtOnce(config.values.get('entrypoint')))
    return undefined;
  log(
    `lxc-info: ${vmid}: ../src/lxc/af_unix.c: lxc_abstract_unix_recv_fds_iov: 218 Connection reset by peer - Failed to receive response\nlxc-info: ${vmid}: ../src/lxc/commands.c: lxc_cmd_rsp_recv_fds: 128 Failed to receive file descriptors for command "get_init_pid"\n`,
  );
  return `unable to get PID for CT ${vmid} (not running?)`;
}

/** The first line of the guest's LXC file that LXC cannot read. */
function refusedLine(raw: readonly (readonly [string, string])[], env: string | undefined): string | undefined {
  const bad = env?.split('\0').find((item) => item !== '' && !item.includes('='));
  if (bad !== undefined) return `lxc.environment.runtime = ${bad}`;
  const halt = raw.find(([key, value]) => key === 'lxc.signal.halt' && !SIGNALS.test(value));
  return halt === undefined ? undefined : `lxc.signal.halt = ${halt[1]}`;
}

function sync(sequence: number): string {
  return `sync_wait: 34 An error occurred in another process (expected sequence number ${sequence})\n`;
}

function spawnFailure({ vmid, config, rootfs }: StartContext): string | undefined {
  const raw = (key: string): string | undefined => config.raw.find(([name]) => name === key)?.[1];
  const isEmpty = readdirSync(rootfs).length === 0;
  if (config.values.get('ostype') === 'alpine' && !isEmpty && guestPath(rootfs, '/run') === undefined)
    return `mount_entry: 2202 No such file or directory - Failed to mount "run" on "/usr/lib/x86_64-linux-gnu/lxc/rootfs/run"\nlxc_setup: 3910 Failed to setup mount entries\ndo_start: 1277 Failed to setup container "${vmid}"\n${sync(3)}`;
  if (/^[^/]/.test(raw('lxc.init.cwd') ?? '/')) return sync(4);
  if ([raw('lxc.init.uid'), raw('lxc.init.gid')].some((id) => Number(id ?? 0) >= MAPPED_IDS)) return sync(7);
  const [program = ''] = entryWords(config.values.get('entrypoint') ?? '');
  // A root without any file is one that is only played.
  if (!program.startsWith('/') || isEmpty || guestPath(rootfs, program) !== undefined) return undefined;
  return `${sync(7)}__lxc_start: 2127 Failed to spawn container "${vmid}"\n`;
}

/** Programs that are over before anybody can look. */
function endsAtOnce(entrypoint: string | undefined): boolean {
  const [program = '', first, second] = entryWords(entrypoint ?? '');
  const name = program.slice(program.lastIndexOf('/') + 1);
  // A shell without a command to run, or with a script of no name.
  const isIdleShell = first === '' || (first === '-c' && second === '');
  return /^(?:true|false|echo)$/.test(name) || (/^(?:ba)?sh$/.test(name) && isIdleShell);
}
