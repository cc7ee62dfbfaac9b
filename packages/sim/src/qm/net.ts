/** MAC addresses of a VM's network cards: made where none is given. */
import type { Verb } from '../pct/context.ts';

const ADDRESS = /=[0-9A-F]{2}(?::[0-9A-F]{2}){5}/i;

export function isNetKey(key: string): boolean {
  return /^net\d+$/.test(key);
}

/** The model with its address comes first, the rest by name, as upstream prints it. */
export function withAddress(verb: Verb, key: string, value: string): string {
  const [model = '', ...options] = value.replace(/^model=/, '').split(',');
  const given = options.find((option) => option.startsWith('macaddr='))?.slice(8);
  const card = model.includes('=') ? model : `${model}=${given ?? fresh(verb, key)}`;
  return [card, ...options.filter((option) => !option.startsWith('macaddr=')).sort()].join(',');
}

/** A clone never keeps the address of its source. */
export function withNewAddress(verb: Verb, key: string, value: string): string {
  return value.replace(ADDRESS, () => `=${fresh(verb, key)}`);
}

function fresh(verb: Verb, key: string): string {
  const tail = verb.host.draw(`mac ${key}`, 3).toString('hex').toUpperCase();
  return `BC:24:11:${(tail.match(/../g) ?? []).join(':')}`;
}
