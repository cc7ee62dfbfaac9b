/** Containers and VMs: all of them, or one after a change; and who uses which device. */
import type { PciAddress } from '@pxmgr/contract';
import type { GuestConfig } from '../guest/config-file.ts';
import type { GuestList, GuestRecord } from '../guest/guest-list.ts';
import { parsePropertyString } from '../guest/property-string.ts';
import type { Collector, Observed } from './collector.ts';
import type { ContainerContext } from './container-document.ts';
import { containerDocument } from './container-document.ts';
import { vmDocument } from './vm-document.ts';

/** Device nodes and PCI addresses that a configuration names. */
function devicesNamed(config: GuestConfig): string[] {
  const named: string[] = [];
  for (const [key, value] of [...config.entries, ...config.pending.entries]) {
    if (/^dev\d+$/.test(key)) named.push(parsePropertyString(value, 'path').get('path') ?? '');
    if (/^hostpci\d+$/.test(key)) named.push(...(parsePropertyString(value, 'host').get('host') ?? '').split(';'));
  }
  for (const [key, value] of config.raw) if (key === 'lxc.mount.entry') named.push(value.split(/\s+/)[0] ?? '');
  return named.filter((name) => name !== '');
}

/** `01:00` takes every function of a device, `0000:01:00.0` one. */
function namesAddress(name: string, address: PciAddress): boolean {
  const full = /^[0-9a-f]{2}:/i.test(name) ? `0000:${name}` : name;
  const lower = full.toLowerCase();
  return lower.includes('.') ? lower === address : address.startsWith(`${lower}.`);
}

/** Whole folders of device nodes that people bind into guests. */
const DEVICE_FOLDERS = new Set(['/dev/dri', '/dev/dri/', '/dev']);

/** A change of one guest. `observed` is undefined when it is gone from this node. */
export interface GuestChange {
  readonly kind: 'container' | 'vm';
  readonly id: string;
  readonly observed: Observed | undefined;
}

export class GuestCollectors {
  readonly #guests: GuestList;
  readonly #context: ContainerContext;
  readonly #named = new Map<number, readonly string[]>();

  constructor(guests: GuestList, context: ContainerContext) {
    this.#guests = guests;
    this.#context = context;
  }

  readonly containers: Collector = { kind: 'container', collect: () => this.#collect('container') };
  readonly vms: Collector = { kind: 'vm', collect: () => this.#collect('vm') };

  #collect(kind: 'container' | 'vm'): Promise<readonly Observed[]> {
    const all = this.#guests.list();
    const here = new Set(all.map((guest) => guest.vmid));
    for (const vmid of this.#named.keys()) if (!here.has(vmid)) this.#named.delete(vmid);
    const found = all.filter((guest) => guest.kind === kind);
    return Promise.resolve(found.map((guest) => this.#observe(guest)).sort((a, b) => (a.id < b.id ? -1 : 1)));
  }

  #observe(guest: GuestRecord): Observed {
    this.#named.set(guest.vmid, devicesNamed(guest.config));
    const id = String(guest.vmid);
    if (guest.kind === 'vm')
      return { id, document: { document: { $case: 'vm', value: vmDocument(guest, this.#context.mask) } } };
    return { id, document: { document: { $case: 'container', value: containerDocument(guest, this.#context) } } };
  }

  /** The guest as it is now, of either kind. */
  one(vmid: number): GuestChange[] {
    const guest = this.#guests.get(vmid);
    const id = String(vmid);
    if (guest === undefined) this.#named.delete(vmid);
    const observed = guest === undefined ? undefined : this.#observe(guest);
    const kinds = ['container', 'vm'] as const;
    return kinds.map((kind) => ({ kind, id, observed: guest?.kind === kind ? observed : undefined }));
  }

  /** Ids of the guests that name one of the nodes or the address, as far as guests were read. */
  usersOf(aliases: readonly string[], address: PciAddress): number[] {
    const uses = (name: string): boolean =>
      aliases.includes(name) || DEVICE_FOLDERS.has(name) || namesAddress(name, address);
    return [...this.#named]
      .filter(([, names]) => names.some(uses))
      .map(([vmid]) => vmid)
      .sort((a, b) => a - b);
  }
}
