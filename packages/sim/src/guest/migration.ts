/**
 * What the migrations of containers and of VMs have in common (pve-guest-common src/PVE/AbstractMigrate.pm): lines with
 * their time, the other node that has to be reached, volumes that are copied there, and how it is told when it fails.
 */
import { PassThrough } from 'node:stream';
import { reach } from '../call/fault.ts';
import { switchesOf } from '../call/switches.ts';
import { errorText, ToolError } from '../call/tool.ts';
import type { Member } from '../cluster/state.ts';
import type { Task } from '../cluster/task.ts';
import type { Host } from '../host/host.ts';
import { copyTree } from '../pool/files.ts';
import { enabledStorage, findVolume, volumeBackend } from '../storage/storages.ts';
import type { VolumeAt, VolumeFormat } from '../storage/volumes.ts';

export interface Way {
  readonly host: Host;
  readonly target: string;
  readonly member: Member;
  readonly say: (line: string) => void;
}

export function sayer(task: Task): Way['say'] {
  return (line) => task.log(`${localTime()} ${line}\n`);
}

function localTime(): string {
  const now = new Date();
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  return `${day} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}

/** Every failure is a line with the time it took; the task itself only says that it was given up. */
export async function migrating(say: Way['say'], body: () => Promise<void>): Promise<void> {
  const began = Date.now();
  const duration = (): string => new Date(Date.now() - began).toISOString().slice(11, 19);
  try {
    await body();
    say(`migration finished successfully (duration ${duration()})`);
  } catch (err) {
    say(`ERROR: migration aborted (duration ${duration()}): ${errorText(err)}`);
    throw new ToolError('migration aborted\n');
  }
}

export function requireSsh({ host, target, member, say }: Way): void {
  const { noSsh } = switchesOf(host);
  if (noSsh !== true && member.online) return;
  say(`# /usr/bin/ssh -e none -o 'BatchMode=yes' -o 'HostKeyAlias=${target}' root@${member.ip} /bin/true`);
  say(noSsh === true ? 'Host key verification failed.' : `ssh: connect to host ${member.ip} port 22: No route to host`);
  throw new ToolError("Can't connect to destination address using public key\n");
}

export interface Copying {
  readonly here: Host;
  readonly there: Host;
  readonly vmid: number;
  /** Storage on the other node. */
  readonly storage: string;
  /** The volume's snapshots go along. */
  readonly withSnapshots: boolean;
}

/** Id of the copy on the other node; it keeps its name where the storages are of one type. */
export async function copyVolumeThere(volid: string, copying: Copying): Promise<string> {
  const { here, there } = copying;
  const { storage, volname, parsed } = findVolume(here, volid);
  const source = { host: here, storage, volname };
  const targetStorage = enabledStorage(there, copying.storage);
  const isSameType = targetStorage.type === storage.type;
  if (copying.withSnapshots && storage.type !== 'zfspool') throw new ToolError('non-migratable snapshot exists\n');
  if (copying.withSnapshots && isSameType) {
    const target = { host: there, storage: targetStorage, volname: parsed.name };
    await sendWithSnapshots(source, target);
    await reach(here, 'after-volume');
    return `${targetStorage.id}:${parsed.name}`;
  }
  const [backend, targetBackend] = [await volumeBackend(storage), await volumeBackend(targetStorage)];
  const sizeBytes = await backend.sizeBytes(source);
  const made = await targetBackend.alloc(there, targetStorage, {
    vmid: copying.vmid,
    ...(isSameType ? { name: volname.split('/').at(-1) ?? volname } : {}),
    format: isSameType ? (parsed.format as VolumeFormat) : targetBackend.containerFormat(sizeBytes),
    sizeBytes,
    log: () => undefined,
  });
  if (storage.type === 'dir' || parsed.format === 'subvol') {
    const target = { host: there, storage: targetStorage, volname: made };
    await copyTree(await backend.directory(source), await targetBackend.directory(target), new Set());
  }
  await reach(here, 'after-volume');
  return `${targetStorage.id}:${made}`;
}

/** As `zfs send -R` of a snapshot made for it, which then goes on both sides (pve-storage src/PVE/Storage/ZFSPoolPlugin.pm volume_export). */
async function sendWithSnapshots(from: VolumeAt, to: VolumeAt): Promise<void> {
  const { receiveVolume, sendVolume } = await import('../storage/zfs-travel.ts');
  const stream = new PassThrough();
  const sent = sendVolume(from, stream);
  await Promise.all([sent, receiveVolume(to, stream)]);
}
