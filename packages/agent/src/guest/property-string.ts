/**
 * Property strings of guest options: comma-separated `key=value`, one key may be given bare. There is no escaping:
 * a comma cannot be in a value (proxmox/pve-common src/PVE/JSONSchema.pm parse_property_string).
 */
export type PropertyString = Map<string, string>;

/** `defaultKey` names the item that may come without its key. An item that is neither is kept under its own text. */
export function parsePropertyString(text: string, defaultKey?: string): PropertyString {
  const found: PropertyString = new Map();
  for (const item of text.split(',')) {
    const part = item.trim();
    if (part === '') continue;
    const equals = part.indexOf('=');
    if (equals > 0) found.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim());
    else if (defaultKey !== undefined && !found.has(defaultKey)) found.set(defaultKey, part);
    else found.set(part, '');
  }
  return found;
}

/**
 * Proxmox's stored order: the default key first and bare, then `first` in the given order, then the rest sorted.
 * A bare value must not be empty or hold "=": such a default value is written with its key.
 */
export function printPropertyString(
  values: ReadonlyMap<string, string>,
  defaultKey?: string,
  first: readonly string[] = [],
): string {
  const lead = [defaultKey, ...first].filter((key): key is string => key !== undefined && values.has(key));
  const rest = [...values.keys()].filter((key) => !lead.includes(key)).sort();
  return [...lead, ...rest]
    .map((key) => {
      const value = values.get(key) ?? '';
      // What was no item with a key is written as it was read.
      if (key.startsWith('=')) return key;
      return key === defaultKey && value !== '' && !value.includes('=') ? value : `${key}=${value}`;
    })
    .join(',');
}
