/** What mkfs.ext4 prints for a container's raw volume (the numbers follow e2fsprogs lib/ext2fs/initialize.c). */

const SMALL_BYTES = 512 * 1024 * 1024;

export function mkfsText(bytes: number, uuid: string): string {
  const blockBytes = bytes < SMALL_BYTES ? 1024 : 4096;
  const blocks = Math.floor(bytes / blockBytes);
  const perGroup = blockBytes * 8;
  const first = blockBytes === 1024 ? 1 : 0;
  const groups = Math.max(Math.ceil((blocks - first) / perGroup), 1);
  const inodes = inodesPerGroup(bytes / (blockBytes === 1024 ? 4096 : 16384) / groups, blockBytes) * groups;
  const backups = backupGroups(groups).map((group) => group * perGroup + first);
  return `Creating filesystem with ${blocks} ${blockBytes / 1024}k blocks and ${inodes} inodes\nFilesystem UUID: ${uuid}\nSuperblock backups stored on blocks: \n${backupLines(backups)}`;
}

/** Rows of 72 columns, as mke2fs breaks them; upstream's filter lets only rows with a comma through. */
function backupLines(backups: readonly number[]): string {
  const rows: string[] = [];
  let left = 0;
  for (const [index, block] of backups.entries()) {
    const needed = String(block).length + 2;
    if (index > 0) rows.push(`${rows.pop() ?? ''}, `);
    if (needed > left) {
      rows.push('\t');
      left = 72;
    }
    left -= needed;
    rows.push(`${rows.pop() ?? ''}${block}`);
  }
  return rows
    .filter((row) => /^\t\d+, \d/.test(row))
    .map((row) => `${row}\n`)
    .join('');
}

/** Whole inode-table blocks of 256-byte inodes, a multiple of eight. */
function inodesPerGroup(wanted: number, blockBytes: number): number {
  const tableBlocks = Math.ceil((Math.ceil(wanted) * 256) / blockBytes);
  return Math.max(Math.floor((tableBlocks * blockBytes) / 256 / 8) * 8, 8);
}

/** Groups with a spare superblock: 1 and powers of 3, 5 and 7. */
function backupGroups(groups: number): number[] {
  const found = new Set<number>(groups > 1 ? [1] : []);
  for (const base of [3, 5, 7]) for (let group = base; group < groups; group *= base) found.add(group);
  return [...found].sort((a, b) => a - b);
}
