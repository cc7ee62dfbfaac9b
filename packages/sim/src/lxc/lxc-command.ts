/**
 * The machine's own LXC programs for one guest of one stand-in host. Each guest has a name that is unique on the
 * machine, so several hosts may run guests of the same id side by side. Its configuration is given by file name
 * (`lxc-start -f`) and lies with the host; LXC's own path stays empty, since it must be open to the guest's root.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Command, Runner } from '@pxmgr/kit/exec/command';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';
import type { Host } from '../host/host.ts';

/** Where one guest's LXC files lie and how LXC calls it. */
export interface LxcGuest {
  readonly vmid: number;
  readonly name: string;
  readonly directory: string;
}

export function lxcGuest(host: Host, vmid: number): LxcGuest {
  const name = `px-${shortHash(host.root)}-${vmid}`;
  return { vmid, name, directory: host.simPath('lxc', name) };
}

export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/**
 * Without newuidmap on its PATH, LXC writes the id map itself, which root may do; with it, the machine's /etc/subuid
 * would need an entry. So the PATH of these programs leaves out /usr/bin, and they are called by their full name.
 */
const PATH_WITHOUT_NEWUIDMAP = '/usr/sbin:/sbin';
/** In the monitor's mount namespace this is the tmpfs of staging.ts. */
const LXC_PATH = '/var/lib/lxc';
const LONG_MS = 2_000_000_000;

let runner: Runner | undefined;

export function lxcRunner(): Runner {
  runner ??= createRunner({ path: PATH_WITHOUT_NEWUIDMAP, logger: silentLogger() });
  return runner;
}

/** The options every LXC program names its guest with. Halt signal and environment come from the configuration. */
export function onGuest(guest: LxcGuest): string[] {
  return ['-P', LXC_PATH, '-n', guest.name, '--rcfile', configFile(guest)];
}

export function configFile(guest: LxcGuest): string {
  return join(guest.directory, 'config');
}

export function lxcCommand(
  program: string,
  args: readonly string[],
  options: { purpose: string; timeoutMs?: number },
): Command {
  return { file: `/usr/bin/${program}`, args, purpose: options.purpose, timeoutMs: options.timeoutMs ?? LONG_MS };
}

/** `lxc-info`'s state word, or `STOPPED` when LXC does not know the guest. */
export async function lxcState(guest: LxcGuest): Promise<string> {
  const result = await lxcRunner().run(
    lxcCommand('lxc-info', [...onGuest(guest), '-s', '-H'], { purpose: 'state of a guest', timeoutMs: 20_000 }),
  );
  return result.exitCode === 0 ? result.stdout.trim() : 'STOPPED';
}

/** Process id of the guest's init on this machine; undefined when it does not run. */
export async function lxcInitPid(guest: LxcGuest): Promise<number | undefined> {
  const result = await lxcRunner().run(
    lxcCommand('lxc-info', [...onGuest(guest), '-p', '-H'], { purpose: 'init of a guest', timeoutMs: 20_000 }),
  );
  const pid = Number(result.stdout.trim());
  return result.exitCode === 0 && Number.isInteger(pid) && pid > 0 ? pid : undefined;
}
