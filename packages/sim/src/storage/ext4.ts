/** The ext4 file system of a container's raw volume: its layout, and what mkfs.ext4 prints (e2fsprogs lib/ext2fs/initialize.c, misc/mke2fs.c). */

const SMALL_BYTES = 512 * 1024 * 1024;
const INODE_BYTES = 256;
const DESCRIPTOR_BYTES = 64;

interface Layout {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly first: number;
  readonly groups: number;
  readonly inodes: number;
}

function layoutOf(bytes: number): Layout {
  const blockBytes = bytes < SMALL_BYTES ? 1024 : 4096;
  const blocks = Math.floor(bytes / blockBytes);
  const first = blockBytes === 1024 ? 1 : 0;
  const groups = Math.max(Math.ceil((blocks - first) / (blockBytes * 8)), 1);
  const wanted = bytes / (blockBytes === 1024 ? 4096 : 16384) / groups;
  return { blockBytes, blocks, first, groups, inodes: inodesPerGroup(wanted, blockBytes) * groups };
}

export function mkfsText(bytes: number, uuid: string): string {
  const { blockBytes, blocks, first, groups, inodes } = layoutOf(bytes);
  const backups = backupGroups(groups).map((group) => group * blockBytes * 8 + first);
  return `Creating filesystem with ${blocks} ${blockBytes / 1024}k blocks and ${inodes} inodes\nFilesystem UUID: ${uuid}\nSuperblock backups stored on blocks: \n${backupLines(backups)}`;
}

/** What the kernel tells of a mounted one: room for data without the tables, and what of it is kept back. */
export function ext4Space(bytes: number): { totalBytes: number; keptBytes: number } {
  const { blockBytes, blocks, first, groups, inodes } = layoutOf(bytes);
  const descriptorBlocks = Math.ceil((groups * DESCRIPTOR_BYTES) / blockBytes);
  const copies = backupGroups(groups).length + 1;
  const tables = 2 * groups + (inodes * INODE_BYTES) / blockBytes;
  const supers =
    copies * (1 + descriptorBlocks + spareDescriptorBlocks(blocks, { blockBytes, first, descriptorBlocks }));
  const total = blocks - first - tables - supers - journalBlocks(blocks);
  const kept = Math.floor(blocks * 0.05) + Math.min(Math.floor(blocks / 50), 4096);
  return { totalBytes: total * blockBytes, keptBytes: kept * blockBytes };
}

/** Room to grow to a thousand times the size. */
function spareDescriptorBlocks(
  blocks: number,
  { blockBytes, first, descriptorBlocks }: { blockBytes: number; first: number; descriptorBlocks: number },
): number {
  const most = Math.min(blocks * 1024, 0xff_ff_ff_ff);
  const groups = Math.ceil((most - first) / (blockBytes * 8));
  return Math.min(Math.ceil((groups * DESCRIPTOR_BYTES) / blockBytes) - descriptorBlocks, blockBytes / 4);
}

const JOURNALS: readonly (readonly [below: number, blocks: number])[] = [
  [2048, 0],
  [32_768, 1024],
  [262_144, 4096],
  [524_288, 8192],
  [4_194_304, 16_384],
  [8_388_608, 32_768],
  [16_777_216, 65_536],
  [33_554_432, 131_072],
];

function journalBlocks(blocks: number): number {
  return JOURNALS.find(([below]) => blocks < below)?.[1] ?? 262_144;
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
  const tableBlocks = Math.ceil((Math.ceil(wanted) * INODE_BYTES) / blockBytes);
  return Math.max(Math.floor((tableBlocks * blockBytes) / INODE_BYTES / 8) * 8, 8);
}

/** Groups with a spare superblock: 1 and powers of 3, 5 and 7. */
function backupGroups(groups: number): number[] {
  const found = new Set<number>(groups > 1 ? [1] : []);
  for (const base of [3, 5, 7]) for (let group = base; group < groups; group *= base) found.add(group);
  return [...found].sort((a, b) => a - b);
}
