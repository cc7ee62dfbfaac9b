/** `key=value,key=value` strings, parsed and printed by the rules of pve-common src/PVE/JSONSchema.pm. */
import { formatSize, parseSize } from '../size.ts';
import { propertyFormat } from './schema-data.ts';
import { checkObject, FieldError, type FieldErrors, type Properties, parseBoolean } from './value.ts';

export type PropertyValues = Record<string, string>;

const raise = (text: string): never => {
  throw new Error(`${text}\n`);
};

/** Keys and values as text, booleans as 0/1. Throws Error (structure) or FieldError (a value), text ending in a line feed. */
export function parsePropertyString(format: string, text: string, path = ''): PropertyValues {
  const rules = propertyFormat(format);
  const found: PropertyValues = {};
  let hasDefault = false;
  for (const part of text.split(',')) {
    if (/^\s*$/.test(part)) continue;
    const pair = /^([^=]+)=(.+)$/s.exec(part);
    if (pair?.[1] !== undefined && pair[2] !== undefined) putPair(rules, found, [pair[1], pair[2]]);
    else if (part.includes('=')) raise('missing key in comma-separated list property');
    else {
      const key = defaultKey(rules) ?? raise('value without key, but schema does not define a default key');
      if (hasDefault || found[key] !== undefined) raise(`duplicate key in comma-separated list property: ${key}`);
      found[key] = booleanWord(rules, key, part);
      hasDefault = true;
    }
  }
  const errors: FieldErrors = {};
  checkObject(found, { path, properties: rules }, errors);
  if (Object.keys(errors).length > 0) throw new FieldError('format error', errors);
  return found;
}

function putPair(rules: Properties, found: PropertyValues, [givenKey, value]: [string, string]): void {
  let key = givenKey;
  if (found[key] !== undefined) raise(`duplicate key in comma-separated list property: ${key}`);
  const alias = own(rules, key)?.alias;
  if (alias !== undefined) {
    const keyAlias = own(rules, key)?.keyAlias;
    if (keyAlias !== undefined) {
      if (found[keyAlias] !== undefined) raise(`key alias '${keyAlias}' is already defined`);
      found[keyAlias] = key;
    }
    key = alias;
    if (found[key] !== undefined) raise(`key '${key}' is already defined (via alias)`);
  }
  // An unknown key gets past upstream's own test for it and is refused with the values (checkObject).
  found[key] = booleanWord(rules, key, value);
}

function own(rules: Properties, key: string): Properties[string] | undefined {
  return Object.hasOwn(rules, key) ? rules[key] : undefined;
}

function booleanWord(rules: Properties, key: string, value: string): string {
  return own(rules, key)?.type === 'boolean' ? String(parseBoolean(value) ?? value) : value;
}

function defaultKey(rules: Properties): string | undefined {
  return Object.keys(rules).find((key) => rules[key]?.default_key === 1);
}

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
  const required = keys.filter((key) => own(rules, key)?.optional !== 1 && key !== first);
  const rest = keys.filter((key) => own(rules, key)?.optional === 1 && key !== first);
  const words: string[] = [];
  if (first !== undefined && keys.includes(first)) words.push(printValue(rules, first, values[first] ?? ''));
  for (const key of [...required, ...rest]) {
    if (own(rules, key) === undefined) raise(`invalid key '${key}'`);
    words.push(`${key}=${printValue(rules, key, values[key] ?? '')}`);
  }
  return words.join(',');
}

function printValue(rules: Properties, key: string, value: string): string {
  const size = own(rules, key)?.format === 'disk-size' ? parseSize(value) : undefined;
  if (size !== undefined) return formatSize(size);
  if (value.includes(',')) raise(`illegal value with commas for ${key}`);
  return value;
}

/** Parse and print: what Proxmox VE would store. */
export function canonical(format: string, text: string): string {
  return printPropertyString(format, parsePropertyString(format, text));
}
