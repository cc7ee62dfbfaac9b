/** disk move: what is refused before anything is copied (qemu-server src/PVE/API2/Qemu.pm move_vm_disk). */
import { ToolError } from '../call/tool.ts';
import { text, type Verb } from '../pct/context.ts';
import { parameterError } from '../schema/command.ts';
import { enabledStorage, findVolume } from '../storage/storages.ts';
import { contentOf } from '../text/storage-cfg.ts';
import { driveOf, isCdrom } from './drive.ts';
import { loadVm, requireUnlocked } from './vm.ts';

export async function moveDisk(verb: Verb): Promise<number> {
  const target = text(verb, 'storage');
  const targetVmid = text(verb, 'target-vmid');
  if ((target === undefined) === (targetVmid === undefined)) {
    const reason =
      target === undefined
        ? "both 'storage' and 'target-vmid' missing, either needs to be set"
        : "either set 'storage' or 'target-vmid', but not both";
    throw parameterError(verb.call, { storage: reason, 'target-vmid': reason });
  }
  if (targetVmid === String(verb.vmid))
    throw parameterError(verb.call, { 'target-vmid': 'must be different than source VMID to reassign disk' });
  if (target !== undefined) requireMovable(verb, target);
  throw new ToolError('moving disks of VMs is not part of this stand-in\n');
}

function requireMovable(verb: Verb, target: string): void {
  const disk = text(verb, 'disk') ?? '';
  const config = loadVm(verb.host, verb.vmid);
  requireUnlocked(config);
  const value = config.values.get(disk);
  if (value === undefined) throw new ToolError(`disk '${disk}' does not exist\n`);
  const drive = driveOf(disk, value);
  if (isCdrom(drive)) throw new ToolError("you can't move a cdrom\n");
  const { storage, parsed } = findVolume(verb.host, drive.volume);
  const format = text(verb, 'format');
  if (storage.id === target && (format === undefined || format === parsed.format))
    throw new ToolError("you can't move to the same storage with same format\n");
  if (!contentOf(enabledStorage(verb.host, target)).includes('images'))
    throw parameterError(verb.call, { storage: `storage '${target}' does not support vm images` });
}
