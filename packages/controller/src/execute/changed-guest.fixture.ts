/** For tests: what a change makes of a guest. */
import type { AnyChange } from '@pxmgr/contract';
import { type ContainerDocument, GuestDevice } from '@pxmgr/contract/common';

/** As far as the inventory tells. */
export function changed(guest: ContainerDocument, change: AnyChange): Partial<ContainerDocument> {
  switch (change.$case) {
    case 'createSnapshot':
      return { snapshots: [...guest.snapshots, change.value.name] };
    case 'rollbackSnapshot':
      return { status: 'stopped', config: { ...guest.config, parent: change.value.name } };
    case 'destroySnapshot':
      return { snapshots: guest.snapshots.filter((name) => name !== change.value.name) };
    case 'attachDevices':
      return { devices: [...guest.devices, ...change.value.devices.map(({ path }) => deviceAt(path))] };
    case 'setOptions': {
      const { tags, ...rest } = change.value;
      const named = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
      return { ...named, ...(tags === undefined ? {} : { tags: tags.tags }) };
    }
    case 'detachDevices': {
      const taken = change.value.devices.map(({ path }) => path);
      return { devices: guest.devices.filter(({ path }) => !taken.includes(path)) };
    }
  }
}

export function deviceAt(path: string): GuestDevice {
  return GuestDevice.fromPartial({ key: 'dev0', path });
}

/** The same where a running guest gets its sizes at its next start. */
export function changedLater(guest: ContainerDocument, change: AnyChange): Partial<ContainerDocument> {
  if (change.$case !== 'setOptions') return changed(guest, change);
  const { memoryBytes: pendingMemoryBytes = 0n, cores: pendingCores = 0, ...now } = change.value;
  const pending = [...(pendingMemoryBytes > 0n ? ['memory'] : []), ...(pendingCores > 0 ? ['cores'] : [])];
  const value = { ...now, memoryBytes: undefined, cores: undefined };
  return { ...changed(guest, { ...change, value }), pending, pendingMemoryBytes, pendingCores };
}
