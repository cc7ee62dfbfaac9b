import { hasControlCharacters } from '@pxmgr/contract';
import { PxmError } from '@pxmgr/kit/error/pxm-error';

/** One item of a property string; undefined values are left out. */
export type PropertyItem = readonly [key: string, value: string | number | boolean | undefined];

/**
 * A property string for argv: every item with its key, booleans as 0/1. The grammar has no escapes, so a comma or a
 * control character is refused (proxmox/pve-common src/PVE/JSONSchema.pm). PXM_INPUT_INVALID names the key.
 */
export function propertyString(items: readonly PropertyItem[]): string {
  return items
    .flatMap(([key, value]) => {
      if (value === undefined) return [];
      const text = typeof value === 'boolean' ? flag(value) : String(value);
      if (text === '' || text.includes(',') || hasControlCharacters(text)) throw unusable(key, text);
      return [`${key}=${text}`];
    })
    .join(',');
}

/** 0 or 1: the only spelling that both the command line and the API read alike. */
export function flag(value: boolean): '0' | '1' {
  return value ? '1' : '0';
}

function unusable(key: string, text: string): PxmError {
  const problem = `${key} "${JSON.stringify(text).slice(1, -1)}" cannot be written into a guest's configuration`;
  return new PxmError('PXM_INPUT_INVALID', { count: '1', problems: problem });
}
