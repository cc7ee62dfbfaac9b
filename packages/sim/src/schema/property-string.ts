/** `key=value,key=value` strings printed as Proxmox VE stores them (pve-common src/PVE/JSONSchema.pm print_property_string). */
import { formatSize, parseSize } from '../text/size.ts';
import type { Properties } from './property.ts';
import { defaultKey, ownProperty, type PropertyValues } from './property-split.ts';
import { propertyFormat } from './schema-data.ts';
import { parsePropertyString } from './value.ts';

const raise = (text: string): never => {
  throw new Error(`${text}\n`);
};

/** The stored form: default key first and bare, then required keys, then the rest, each group sorted. */
export function printPropertyString(
  format: string,
  values: Readonly<PropertyValues>,
  skip: readonly string[] = [],
): string {
  const rules = propertyFormat(format);
  const first = defaultKey(rules);
  const keys = Object.keys(values)
    .filter((key) => !skip.includes(key))
    .sort();
  const required = keys.filter((key) => ownProperty(rules, key)?.optional !== 1 && key !== first);
  const rest = keys.filter((key) => ownProperty(rules, key)?.optional === 1 && key !== first);
  const words: string[] = [];
  if (first !== undefined && keys.includes(first)) words.push(printValue(rules, first, values[first] ?? ''));
  for (const key of [...required, ...rest]) {
    if (ownProperty(rules, key) === undefined) raise(`invalid key '${key}'`);
    words.push(`${key}=${printValue(rules, key, values[key] ?? '')}`);
  }
  return words.join(',');
}

function printValue(rules: Properties, key: string, value: string): string {
  const size = ownProperty(rules, key)?.format === 'disk-size' ? parseSize(value) : undefined;
  if (size !== undefined) return formatSize(size);
  if (value.includes(',')) raise(`illegal value with commas for ${key}`);
  return value;
}

/** Parse and print: what Proxmox VE would store. */
export function canonical(format: string, text: string): string {
  return printPropertyString(format, parsePropertyString(format, text));
}
