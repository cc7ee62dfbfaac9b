/** Drives of a VM: what a call may name, and the volumes behind them (qemu-server src/PVE/API2/Qemu.pm check_storage_access, create_disks). */
import { statSync } from 'node:fs';
import { ToolError } from '../call/tool.ts';
import { atPoint, text, type Verb } from '../pct/context.ts';
import { parameterError } from '../schema/command.ts';
import { allocVolume, enabledStorage, findVolume, storageOf, volumePath } from '../storage/storages.ts';
import { isVolumeId } from '../storage/volume-names.ts';
import type { VolumeFormat } from '../storage/volumes.ts';
import { formatSize } from '../text/size.ts';
import { contentOf } from '../text/storage-cfg.ts';
import { isDriveKey, printDisk, type VmDisk } from '../text/vm-config.ts';
import { backed } from './vm.ts';

const GIB_IN_KIB = 1024 ** 2;
/** A volume to be made: its size, and the storage where it is not the default one. */
const NEW_DISK = /^(?:([^/:\s]+):)?(\d+(?:\.\d+)?)$/;

export function driveOf(key: string, value: string): VmDisk {
  const [volume = '', ...options] = value.split(',').map((word) => word.replace(/^(?:file|volume)=/, ''));
  return { key, volume, options };
}

export function isCdrom({ options }: VmDisk): boolean {
  return options.includes('media=cdrom');
}

/** `--cdrom X` is the third IDE drive. */
export function resolveCdrom(values: Map<string, string>): void {
  const value = values.get('cdrom');
  if (value === undefined) return;
  values.delete('cdrom');
  values.set('ide2', value.includes('media=') ? value : `${value},media=cdrom`);
}

/** Whether the drives may be what they name; nothing is made yet, and no storage is asked whether it is on. */
export function checkDrives(verb: Verb, values: ReadonlyMap<string, string>): void {
  for (const key of [...values.keys()].filter(isDriveKey).sort()) {
    const drive = driveOf(key, values.get(key) ?? '');
    const made = isCdrom(drive) ? null : NEW_DISK.exec(drive.volume);
    if (made !== null) checkNewDisk(verb, made[1]);
    else if (isVolumeId(drive.volume) && !drive.volume.endsWith(':cloudinit')) {
      const { kind } = findVolume(verb.host, drive.volume).parsed;
      if (kind !== 'images' && kind !== 'iso')
        throw parameterError(verb.call, { [key]: "content type needs to be 'images' or 'iso'" });
    }
  }
}

function checkNewDisk(verb: Verb, named: string | undefined): void {
  const id = named ?? text(verb, 'storage');
  if (id === undefined) throw new ToolError('no storage ID specified (and no default storage)\n');
  if (!contentOf(storageOf(verb.host, id)).includes('images'))
    throw parameterError(verb.call, { storage: `storage '${id}' does not support vm images` });
}

export interface SettledDrive {
  /** As the config stores it. */
  readonly value: string;
  /** Id of a volume that was made for it. */
  readonly made?: string;
}

/** A new volume is made, an existing one measured. */
export async function settleDrive(verb: Verb, log: (text: string) => void, drive: VmDisk): Promise<SettledDrive> {
  if (drive.volume === 'none' || drive.volume === 'cdrom') return { value: printed(drive, undefined) };
  const made = NEW_DISK.exec(drive.volume);
  if (made !== null) return newDisk(verb, log, { drive, storage: made[1], gib: Number(made[2]) });
  return { value: printed(drive, await existingBytes(verb, drive.volume)) };
}

interface NewDisk {
  readonly drive: VmDisk;
  readonly storage: string | undefined;
  readonly gib: number;
}

async function newDisk(verb: Verb, log: (text: string) => void, wanted: NewDisk): Promise<SettledDrive> {
  const { drive, gib } = wanted;
  const storage = storageOf(verb.host, wanted.storage ?? text(verb, 'storage') ?? '');
  const format = (drive.options.find((option) => option.startsWith('format='))?.slice(7) ?? 'raw') as VolumeFormat;
  const sizeBytes = Math.ceil(gib * GIB_IN_KIB) * 1024;
  const volume = await allocVolume(verb.host, storage, { vmid: verb.vmid, format, sizeBytes, log });
  const value = printed({ ...drive, volume }, sizeBytes);
  log(`${drive.key}: successfully created disk '${value}'\n`);
  await atPoint(verb, 'after-volume');
  return { value, made: volume };
}

async function existingBytes({ host }: Verb, volume: string): Promise<number> {
  if (!isVolumeId(volume)) return fileBytes(host.path(volume), `volume ${volume} does not exist\n`);
  const { parsed, storage } = findVolume(host, volume);
  enabledStorage(host, storage.id);
  const missing = `volume '${volume}' does not exist\n`;
  if (parsed.kind !== 'images') return fileBytes(host.path(await volumePath(host, volume)), missing);
  const { backend, ...at } = await backed(host, volume);
  if (!(await backend.exists(at))) throw new ToolError(backend.missingText?.(at) ?? missing);
  return backend.sizeBytes(at);
}

function fileBytes(path: string, missing: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new ToolError(missing);
  return stat.size;
}

/** Options by name, as upstream prints them; a format is said only for a volume that is still to be made. */
function printed(drive: VmDisk, sizeBytes: number | undefined): string {
  const options = drive.options.filter((option) => !/^(?:format|size)=/.test(option));
  const size = sizeBytes === undefined ? [] : [`size=${formatSize(sizeBytes)}`];
  return printDisk({ ...drive, options: [...options, ...size].sort() });
}
