/** A VM's configuration and state as its document. Pure. */
import type { VmDocument } from '@pxmgr/contract/common';
import type { GuestRecord } from '../guest/guest-list.ts';
import { parsePropertyString } from '../guest/property-string.ts';
import type { Mask } from './collector.ts';
import { sortedRecord } from './collector.ts';
import { splitTags } from './container-document.ts';

const MIB = 1024n * 1024n;
/** Values that hold a secret: proxmox/qemu-server src/PVE/QemuServer/Cloudinit.pm. */
const SECRET_KEYS = new Set(['cipassword']);

export function vmDocument(guest: GuestRecord, mask: Mask): VmDocument {
  const { entries } = guest.config;
  const value = (key: string): string => entries.get(key) ?? '';
  // `memory` is a property string with `current` as its default key since qemu-server 8.
  const memory = parsePropertyString(value('memory'), 'current').get('current') ?? '512';
  return {
    vmid: guest.vmid,
    name: entries.get('name') ?? `VM ${guest.vmid}`,
    status: guest.isRunning ? 'running' : 'stopped',
    cores: Number(value('cores') || '1') * Number(value('sockets') || '1'),
    memoryBytes: /^\d+$/.test(memory) ? BigInt(memory) * MIB : 0n,
    lock: value('lock'),
    template: value('template') === '1',
    onBoot: value('onboot') === '1',
    tags: splitTags(value('tags')),
    config: sortedRecord([...entries].map(([key, text]) => [key, SECRET_KEYS.has(key) ? mask(text) : text] as const)),
  };
}
