/** VMs as the API tells of them (qemu-server src/PVE/API2/Qemu.pm vmlist, vm_config, vm_status). */
import { ToolError } from '../call/tool.ts';
import { guestFile, readCluster, readPveFile } from '../cluster/pmxcfs.ts';
import { vmStatusFields } from '../guest/vm-status.ts';
import type { Host } from '../host/host.ts';
import { propertyOf, toolSchema } from '../schema/schema-data.ts';
import { parseVmConfig, type VmConfig } from '../text/vm-config.ts';

type Row = Record<string, unknown>;

export function vmRows(host: Host): Row[] {
  const own = Object.entries(readCluster(host).guests).filter(
    ([, guest]) => guest.type === 'qemu' && guest.node === host.name,
  );
  return own.map(([vmid]) => {
    const { qmpstatus: _qmpstatus, ...fields } = statusOf(host, Number(vmid));
    return fields;
  });
}

export function vmCurrent(host: Host, vmid: number): Row {
  return { ...statusOf(host, vmid), ha: { managed: 0 } };
}

function loadVm(host: Host, vmid: number): VmConfig {
  const path = guestFile(host.name, 'qemu', vmid);
  const text = readPveFile(host, path);
  if (text === undefined) throw new ToolError(`Configuration file '${path}' does not exist\n`, 2);
  return parseVmConfig(text);
}

function statusOf(host: Host, vmid: number): Row {
  return { ...vmStatusFields({ node: host, vmid }, loadVm(host, vmid).values), cpu: 0 };
}

/** What waits for the next start is shown as if it were there, unless only the current values are asked for. */
export function vmConfig(host: Host, vmid: number, isCurrent: boolean): Row {
  const { values, pending, digest } = loadVm(host, vmid);
  const shown = new Map(values);
  if (!isCurrent) {
    for (const key of (pending.get('delete') ?? '').split(',')) shown.delete(key.replace(/^!/, ''));
    for (const [key, value] of pending) if (key !== 'delete') shown.set(key, value);
  }
  const typed = [...shown].map(([key, value]): [string, unknown] => [key, isNumber(key) ? Number(value) : value]);
  return { ...Object.fromEntries(typed), digest };
}

function isNumber(key: string): boolean {
  return ['integer', 'boolean'].includes(propertyOf(toolSchema('qm')['set']?.params ?? {}, key)?.type ?? '');
}
