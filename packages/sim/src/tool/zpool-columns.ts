/**
 * How wide the columns of `zpool list` and `zpool get` are: the rule of zfs-columns.ts with the properties of pools
 * (openzfs/zfs module/zcommon/zpool_prop.c, zprop_common.c zprop_width, lib/libzfs/libzfs_pool.c zpool_expand_proplist).
 */

const HEADS: Readonly<Record<string, string>> = {
  ...{ allocated: 'ALLOC', checkpoint: 'CKPOINT', expandsize: 'EXPANDSZ', fragmentation: 'FRAG', capacity: 'CAP' },
  ...{ dedupratio: 'DEDUP', bcloneused: 'BCLONE_USED', bclonesaved: 'BCLONE_SAVED', bcloneratio: 'BCLONE_RATIO' },
  ...{ dedup_table_size: 'DDTSIZE', dedup_table_quota: 'DDTQUOTA', autoreplace: 'REPLACE', autoexpand: 'EXPAND' },
  ...{ listsnapshots: 'LISTSNAPS', readonly: 'RDONLY' },
};

const TEXTS = new Set(['name', 'altroot', 'bootfs', 'cachefile', 'comment', 'compatibility']);
/** Of fixed words, with the longest of them. */
const WORDS: ReadonlyMap<string, number> = new Map([
  ...['delegation', 'autoreplace', 'listsnapshots', 'autoexpand', 'readonly', 'multihost', 'autotrim'].map(
    (name) => [name, 'off'.length] as const,
  ),
  ['failmode', 'continue'.length],
]);

function headOf(property: string): string {
  return HEADS[property] ?? property.toUpperCase();
}

/** Features and properties of the user are as wide as their names at least. */
function isNative(property: string): boolean {
  return !/[@:]/.test(property);
}

function isRight(property: string): boolean {
  return isNative(property) && !TEXTS.has(property) && !WORDS.has(property);
}

function leastWidth(property: string): number {
  const head = headOf(property).length;
  if (property === 'health') return 8;
  return Math.max(head, isRight(property) ? 5 : (WORDS.get(property) ?? 0));
}

/** `isExact`: -p, which makes every number as wide as it is. */
export function poolColumnWidth(property: string, values: readonly string[], isExact: boolean): number {
  const isFixed = isRight(property) && !/guid$/.test(property) && !isExact;
  return Math.max(leastWidth(property), ...(isFixed ? [] : values.map((value) => value.length)));
}

/** Rows of devices are shorter than those of pools, and count for the width of the first column only. */
export function poolTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  at: { isExact: boolean; nameWidth: number },
): string {
  const pools = rows.filter((row) => row.length === columns.length);
  const widths = columns.map((column, i) =>
    i === 0 && column === 'name'
      ? at.nameWidth
      : poolColumnWidth(
          column,
          pools.map((row) => row[i] ?? ''),
          at.isExact,
        ),
  );
  const cell = (text: string, i: number): string => {
    const [column = '', width = 0] = [columns[i], widths[i]];
    if (isRight(column)) return text.padStart(width);
    return i === columns.length - 1 ? text : text.padEnd(width);
  };
  return [columns.map(headOf), ...rows].map((row) => `${row.map(cell).join('  ')}\n`).join('');
}
