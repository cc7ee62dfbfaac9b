/**
 * How wide the columns of `zfs list` and `zfs get` are (openzfs/zfs module/zcommon/zprop_common.c zprop_width,
 * lib/libzfs/libzfs_dataset.c zfs_expand_proplist): a number has room for five characters, a property of fixed words for
 * its longest word, whatever the values shown; everything else is as wide as its widest value.
 */
import { isUserProperty } from '../pool/properties.ts';
import { NATIVE } from '../pool/property-table.ts';

/** Column heads that are not the property's name (module/zcommon/zfs_prop.c). */
const HEADS: Readonly<Record<string, string>> = {
  ...{ available: 'AVAIL', referenced: 'REFER', compressratio: 'RATIO', refcompressratio: 'REFRATIO' },
  ...{ usedbysnapshots: 'USEDSNAP', usedbydataset: 'USEDDS', usedbychildren: 'USEDCHILD' },
  ...{ usedbyrefreservation: 'USEDREFRESERV', logicalused: 'LUSED', logicalreferenced: 'LREFER' },
  ...{ compression: 'COMPRESS', recordsize: 'RECSIZE', reservation: 'RESERV', refreservation: 'REFRESERV' },
  ...{ readonly: 'RDONLY', volblocksize: 'VOLBLOCK', redundant_metadata: 'REDUND_MD', dnodesize: 'DNSIZE' },
  ...{ casesensitivity: 'CASE', receive_resume_token: 'RESUMETOK', encryptionroot: 'ENCROOT', redact_snaps: 'RSNAPS' },
  ...{ volthreading: 'zvol threading', filesystem_count: 'FSCOUNT', snapshot_count: 'SSCOUNT' },
  ...{ filesystem_limit: 'FSLIMIT', snapshot_limit: 'SSLIMIT' },
};

export function headOf(property: string): string {
  return HEADS[property] ?? property.toUpperCase();
}

type Kind = 'number' | 'words' | 'text';

const NUMBERS = /<size>|<count>|<uint64>|<iters>|<date>|power of 2|1\.00x/;

function kindOf(property: string): Kind {
  const values = NATIVE.get(property)?.values ?? '<text>';
  if (NUMBERS.test(values)) return 'number';
  return property === 'type' || /<|share options/.test(values) ? 'text' : 'words';
}

/** Where the usage text abbreviates its words, or leaves out an old one. */
const LONGEST_WORD: Readonly<Record<string, number>> = { acltype: 8, compression: 14, dedup: 13 };

function baseWidth(property: string): number {
  const head = headOf(property).length;
  const kind = kindOf(property);
  if (kind === 'number') return Math.max(head, 5);
  if (kind === 'text') return head;
  const words = (NATIVE.get(property)?.values ?? '').split(' | ').map((word) => word.length);
  return Math.max(head, LONGEST_WORD[property] ?? Math.max(...words));
}

/** Numbers that may be longer than five characters. */
const LONG_NUMBERS = new Set(['guid', 'createtxg', 'objsetid', 'pbkdf2iters', 'creation', 'snapshots_changed']);

/** `isExact`: -p, which makes every number as wide as it is. */
export function columnWidth(property: string, values: readonly string[], isExact = false): number {
  const isFixed = kindOf(property) === 'number' && !LONG_NUMBERS.has(property) && !isExact;
  const isCounted = /[@#]/.test(property) || isFixed;
  return Math.max(baseWidth(property), ...(isCounted ? [] : values.map((value) => value.length)));
}

/** Numbers that are no date stand to the right; what is asked with an argument under a head to the left. */
export function isRight(property: string, isHead: boolean): boolean {
  if (isUserProperty(property)) return false;
  if (/[@#]/.test(property)) return !isHead;
  return kindOf(property) === 'number' && !/^(creation|snapshots_changed)$/.test(property);
}

/** Rows under their heads; a last column to the left is not filled up. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[], isExact: boolean): string {
  const widths = columns.map((column, i) =>
    columnWidth(
      column,
      rows.map((row) => row[i] ?? ''),
      isExact,
    ),
  );
  const line = (cells: readonly string[], isHead: boolean): string => {
    const padded = cells.map((text, i) => {
      const width = widths[i] ?? 0;
      if (isRight(columns[i] ?? '', isHead)) return text.padStart(width);
      return i === columns.length - 1 ? text : text.padEnd(width);
    });
    return `${padded.join('  ')}\n`;
  };
  return `${line(columns.map(headOf), true)}${rows.map((row) => line(row, false)).join('')}`;
}
