/** Devices of a node as flags name them: a USB device by its id, anything else by its path. */
import { parseAbsolutePath, parsePciAddress } from '@pxmgr/contract';
import { Device } from '@pxmgr/contract/common';
import type { OptionDefinition } from '../command.ts';
import type { Problems } from './problems.ts';

export const DEVICE_OPTIONS = {
  usb: { kind: 'list', flag: 'usb', value: 'ID', help: 'a USB device by its id, as "pxmgr device list" shows it' },
  path: { kind: 'list', flag: 'path', value: 'PATH', help: 'a device node of the node, e.g. /dev/serial/by-id/...' },
} as const satisfies Record<string, OptionDefinition>;

export interface DeviceFlags {
  readonly usb: readonly string[];
  readonly path: readonly string[];
}

export function parseDevices({ usb, path }: DeviceFlags, problems: Problems): Device[] {
  const ids = usb.map((id) => {
    if (!/^\d+-\d+(?:\.\d+)*$/.test(id)) problems.add(`--usb ${id}`, 'must look like 1-4 or 1-4.2');
    return Device.fromPartial({ deviceId: id });
  });
  const paths = path.map((text) => {
    const value = problems.take(`--path ${text}`, parseAbsolutePath(text)) ?? '';
    if (value !== '' && !value.startsWith('/dev/')) problems.add(`--path ${text}`, 'must be below /dev');
    return Device.fromPartial({ path: value });
  });
  return [...ids, ...paths];
}

export function parseCards(addresses: readonly string[], problems: Problems): Device[] {
  return addresses.map((text) =>
    Device.fromPartial({ deviceId: problems.take(`--gpu ${text}`, parsePciAddress(text)) ?? '' }),
  );
}
