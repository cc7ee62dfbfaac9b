/** `key=value,key=value` text taken apart (pve-common src/PVE/JSONSchema.pm parse_property_string, before the values are checked). */
import { type Properties, parseBoolean } from './property.ts';

export type PropertyValues = Record<string, string>;

const raise = (text: string): never => {
  throw new Error(`${text}\n`);
};

/** Keys may be unknown and values wrong; only the structure was looked at. */
export function splitProperties(rules: Properties, text: string): PropertyValues {
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
  return found;
}

function putPair(rules: Properties, found: PropertyValues, [givenKey, value]: [string, string]): void {
  let key = givenKey;
  if (found[key] !== undefined) raise(`duplicate key in comma-separated list property: ${key}`);
  const alias = ownProperty(rules, key)?.alias;
  if (alias !== undefined) {
    const keyAlias = ownProperty(rules, key)?.keyAlias;
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

export function ownProperty(rules: Properties, key: string): Properties[string] | undefined {
  return Object.hasOwn(rules, key) ? rules[key] : undefined;
}

function booleanWord(rules: Properties, key: string, value: string): string {
  return ownProperty(rules, key)?.type === 'boolean' ? String(parseBoolean(value) ?? value) : value;
}

export function defaultKey(rules: Properties): string | undefined {
  return Object.keys(rules).find((key) => rules[key]?.default_key === 1);
}
