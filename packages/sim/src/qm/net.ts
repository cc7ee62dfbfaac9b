/** MAC addresses of a VM's network cards: made where none is given. */
import type { Verb } from '../pct/context.ts';

const MODEL = /^(virtio|e1000|e1000e|rtl8139|vmxnet3)(?=,|$)/;
const ADDRESS = /=[0-9A-F]{2}(?::[0-9A-F]{2}){5}/i;

export function isNetKey(key: string): boolean {
  return /^net\d+$/.test(key);
}

export function withAddress(verb: Verb, key: string, value: string): string {
  return value.replace(MODEL, (model) => `${model}=${fresh(verb, key)}`);
}

/** A clone never keeps the address of its source. */
export function withNewAddress(verb: Verb, key: string, value: string): string {
  return value.replace(ADDRESS, () => `=${fresh(verb, key)}`);
}

function fresh(verb: Verb, key: string): string {
  const tail = verb.host.draw(`mac ${key}`, 3).toString('hex').toUpperCase();
  return `BC:24:11:${(tail.match(/../g) ?? []).join(':')}`;
}
