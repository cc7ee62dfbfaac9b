/** fstrim, df, fsck, suspend: what they refuse; the rest needs a block device (pve-container src/PVE/CLI/pct.pm). */
import { loadConfig, requireUnlocked, storeConfig } from '../guest/config-store.ts';
import { parseMountPoint } from '../guest/mount-point.ts';
import { findGuest } from '../pmxcfs.ts';
import { findVolume } from '../storages.ts';
import { ToolError } from '../tool.ts';
import { isRunning, locked, text, type Verb } from './context.ts';

/** The guest's config carries the lock while upstream mounts it. */
async function mountedFor(verb: Verb): Promise<void> {
  await locked(verb, async () => {
    const config = loadConfig(verb.host, verb.vmid, verb.io.err);
    requireUnlocked(config);
    config.values.set('lock', 'mounted');
    storeConfig(verb.host, verb.vmid, config);
    config.values.delete('lock');
    storeConfig(verb.host, verb.vmid, config);
  });
}

export async function fstrim(verb: Verb): Promise<number> {
  await mountedFor(verb);
  verb.io.out(`/var/lib/lxc/${verb.vmid}/rootfs/: 0 B (0 bytes) trimmed\n`);
  return 0;
}

export async function df(verb: Verb): Promise<number> {
  if (findGuest(verb.host, verb.vmid) === undefined) verb.io.err(`${verb.vmid} doesn't exist\n`);
  requireUnlocked(loadConfig(verb.host, verb.vmid, verb.io.err));
  throw new ToolError('pct df is not part of this stand-in\n');
}

export async function fsck(verb: Verb): Promise<number> {
  const config = loadConfig(verb.host, verb.vmid, verb.io.err);
  const key = text(verb, 'device') ?? 'rootfs';
  const { volume } = parseMountPoint(key, config.values.get(key) ?? '');
  const { format } = findVolume(verb.host, volume).parsed;
  if (format !== 'raw') throw new ToolError(`unable to run fsck for '${volume}' (format == ${format})\n`);
  throw new ToolError('pct fsck is not part of this stand-in\n');
}

export async function suspend(verb: Verb): Promise<number> {
  if (!isRunning(verb)) throw new ToolError(`CT ${verb.vmid} not running\n`);
  requireUnlocked(loadConfig(verb.host, verb.vmid, verb.io.err));
  throw new ToolError('pct suspend is not part of this stand-in\n');
}
