/**
 * What happens when a really started guest has ended, however it ended: LXC's monitor runs the post-stop hook, which
 * runs this in a process of its own. So nothing has to watch the guest, and a guest whose app exits by itself leaves
 * as little behind as one that was stopped.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readText } from '../file/sim-file.ts';
import type { Host } from '../host/host.ts';
import { publishStopped } from '../host/running.ts';
import { type LxcGuest, lxcGuest } from './lxc-command.ts';
import { releaseNetwork } from './network.ts';
import { shellWord } from './staging.ts';

/** The hook's part: nothing is done when the guest has been started again meanwhile. */
export async function guestEndedByItself(host: Host, ended: { vmid: number; startMark: string }): Promise<void> {
  if (readText(markFile(lxcGuest(host, ended.vmid))) === ended.startMark) await guestEnded(host, ended.vmid);
}

/** Harmless for a guest that does not run. */
export async function guestEnded(host: Host, vmid: number): Promise<void> {
  await releaseNetwork(host, lxcGuest(host, vmid));
  publishStopped(host, vmid);
}

/** Writes the hook of this start; the value for lxc.hook.post-stop. */
export function writeEndHook(host: Host, guest: LxcGuest): string {
  const hook = join(guest.directory, 'post-stop');
  const startMark = randomUUID();
  writeFileSync(markFile(guest), startMark);
  const argv = [process.execPath, ...entry(host.root), String(guest.vmid), startMark];
  writeFileSync(
    hook,
    `#!/bin/sh\nexec ${argv.map(shellWord).join(' ')} >>${shellWord(join(guest.directory, 'post-stop.log'))} 2>&1\n`,
  );
  chmodSync(hook, 0o755);
  return hook;
}

function markFile(guest: LxcGuest): string {
  return join(guest.directory, 'start-mark');
}

/** The package's program with its verb for this: the bundle itself, or main.ts through tsx. */
function entry(root: string): string[] {
  const self = fileURLToPath(import.meta.url);
  if (!self.endsWith('.ts')) return [self, 'guest-ended', root];
  const tsx = createRequire(import.meta.url).resolve('tsx');
  return [
    '--import',
    pathToFileURL(tsx).href,
    fileURLToPath(new URL('../main.ts', import.meta.url)),
    'guest-ended',
    root,
  ];
}
