/** A VM's configuration and state as its document. Pure. */
import type { VmDocument } from '@pxmgr/contract/common';
import type { GuestRecord } from '../guest/guest-list.ts';
import { parsePropertyString } from '../guest/property-string.ts';
import type { Mask } from './mask.ts';
import { sortedRecord } from './stable-value.ts';
import { splitTags, wholeNumber } from './stored-value.ts';

const MIB = 1024n * 1024n;
const DEFAULT_MEMORY_MIB = 512;
/** Cores and sockets: their product has to be a number of the wire too. */
const A_FEW = { digits: 4, unknown: 1 };
/** Values that hold a secret: proxmox/qemu-server src/PVE/QemuServer/Cloudinit.pm. */
const SECRET_KEYS = new Set(['cipassword']);

/** What waits for a restart (proxmox/qemu-server src/PVE/QemuServer.pm parse_vm_config); written as a section like a snapshot. */
const PENDING = 'PENDING';

export function vmDocument(guest: GuestRecord, mask: Mask): VmDocument {
  const { entries, snapshots } = guest.config;
  const pending = snapshots.get(PENDING)?.entries ?? new Map<string, string>();
  const value = (key: string): string => entries.get(key) ?? '';
  const waiting = (key: string): string => pending.get(key) ?? value(key);
  const hasWaitingCores = pending.has('cores') || pending.has('sockets');
  return {
    vmid: guest.vmid,
    name: entries.get('name') ?? `VM ${guest.vmid}`,
    status: guest.isRunning ? 'running' : 'stopped',
    cores: coresOf(value),
    memoryBytes: memoryOf(value('memory')),
    lock: value('lock'),
    template: value('template') === '1',
    onBoot: value('onboot') === '1',
    tags: splitTags(value('tags')),
    config: sortedRecord([...entries].map(([key, text]) => [key, SECRET_KEYS.has(key) ? mask(text) : text] as const)),
    pendingMemoryBytes: pending.has('memory') ? memoryOf(waiting('memory')) : 0n,
    pendingCores: hasWaitingCores ? coresOf(waiting) : 0,
  };
}

function coresOf(value: (key: string) => string): number {
  return wholeNumber(value('cores'), A_FEW) * wholeNumber(value('sockets'), A_FEW);
}

/** A property string with `current` as its default key since qemu-server 8. */
function memoryOf(text: string): bigint {
  const memory = parsePropertyString(text, 'current').get('current');
  return BigInt(wholeNumber(memory, { unknown: DEFAULT_MEMORY_MIB })) * MIB;
}
