import { hasControlCharacters, limits } from '@pxmgr/contract';
import type { ImageJson, RunConfig } from './oci-types.ts';

/**
 * Problems in an image's configuration that Proxmox either writes through into the guest's configuration (a line
 * feed there becomes a line of its own) or accepts and then cannot start (proxmox/pve-container
 * src/PVE/LXC/Create.pm). Every problem is reported, not the first.
 */
export function checkRunConfig(image: ImageJson): string[] {
  const { config } = image;
  return [
    ...controlCharacters(config),
    ...config.Env.filter((item) => !item.includes('=')).map((item) => `Env entry "${show(item)}" has no "="`),
    ...checkStopSignal(config.StopSignal),
    ...(config.WorkingDir !== '' && !config.WorkingDir.startsWith('/')
      ? [`WorkingDir "${show(config.WorkingDir)}" is not absolute`]
      : []),
    ...config.Volumes.filter((path) => !isVolumePath(path)).map(
      (path) => `volume path "${show(path)}" cannot be a mount point`,
    ),
    ...(image.os === '' || image.os === 'linux' ? [] : [`it is made for ${show(image.os)}, not for Linux`]),
  ];
}

/** Every string that ends up in a configuration or in our records. */
function controlCharacters(config: RunConfig): string[] {
  const strings: readonly (readonly [string, readonly string[]])[] = [
    ['Entrypoint', config.Entrypoint],
    ['Cmd', config.Cmd],
    ['Env', config.Env],
    ['User', [config.User]],
    ['WorkingDir', [config.WorkingDir]],
    ['Volumes', config.Volumes],
    ['ExposedPorts', config.ExposedPorts],
    ['StopSignal', [config.StopSignal]],
  ];
  return strings
    .filter(([, values]) => values.some(hasControlCharacters))
    .map(([name]) => `${name} holds control characters`);
}

/** Names that LXC knows (lxc/lxc src/lxc/conf.c signames), or a number up to SIGRTMAX, or RTMIN/RTMAX with an offset. */
const SIGNALS = new Set(
  'HUP INT QUIT ILL ABRT FPE KILL SEGV PIPE ALRM TERM USR1 USR2 CHLD CONT STOP TSTP TTIN TTOU TRAP IOT EMT BUS STKFLT CLD URG IO POLL XCPU XFSZ VTALRM PROF WINCH LOST PWR UNUSED SYS'.split(
    ' ',
  ),
);

function checkStopSignal(signal: string): string[] {
  if (signal === '') return [];
  const name = signal.replace(/^SIG/, '');
  const isNumber = /^\d{1,2}$/.test(signal) && Number(signal) >= 1 && Number(signal) <= 64;
  const isRealtime = /^RT(?:MIN(?:\+\d{1,2})?|MAX(?:-\d{1,2})?)$/.test(name);
  return isNumber || isRealtime || SIGNALS.has(name) ? [] : [`StopSignal "${show(signal)}" is no signal`];
}

function isVolumePath(path: string): boolean {
  if (!path.startsWith('/') || path === '/' || path.includes(',')) return false;
  return !path.split('/').some((part) => part === '.' || part === '..');
}

/** Ids above the map of an unprivileged guest cannot be unpacked. */
export function checkIds(maxUid: number, maxGid: number): string[] {
  const problems: string[] = [];
  if (maxUid > limits.GUEST_ID_MAX)
    problems.push(`a file belongs to uid ${maxUid}; the id map of a container ends at ${limits.GUEST_ID_MAX}`);
  if (maxGid > limits.GUEST_ID_MAX)
    problems.push(`a file belongs to gid ${maxGid}; the id map of a container ends at ${limits.GUEST_ID_MAX}`);
  return problems;
}

/** Hostile text, short and printable. */
function show(text: string): string {
  return JSON.stringify(text.slice(0, 80)).slice(1, -1);
}
