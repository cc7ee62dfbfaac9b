/** qcow2 files as `qemu-img create -o preallocation=metadata` leaves them: the header, and the length that the tables cost. */
import { closeSync, openSync, readSync, truncateSync, writeSync } from 'node:fs';

const CLUSTER = 65_536;
const ENTRIES_PER_TABLE = CLUSTER / 8;
const MAGIC = 0x51_46_49_fb;
const SIZE_OFFSET = 24;

/** Header, first-level table, reference table and its block, one second-level table per 512 MiB, then the data. */
export function writeQcow2(path: string, sizeBytes: number): void {
  const clusters = Math.ceil(sizeBytes / CLUSTER);
  truncateSync(path, (4 + Math.ceil(clusters / ENTRIES_PER_TABLE) + clusters) * CLUSTER);
  const header = Buffer.alloc(SIZE_OFFSET + 8);
  header.writeUInt32BE(MAGIC, 0);
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(16, 20);
  header.writeBigUInt64BE(BigInt(sizeBytes), SIZE_OFFSET);
  const file = openSync(path, 'r+');
  try {
    writeSync(file, header, 0, header.length, 0);
  } finally {
    closeSync(file);
  }
}

/** What the guest sees; undefined for a file without such a header. */
export function qcow2Size(path: string): number | undefined {
  const header = Buffer.alloc(SIZE_OFFSET + 8);
  const file = openSync(path, 'r');
  try {
    if (readSync(file, header, 0, header.length, 0) < header.length) return undefined;
  } finally {
    closeSync(file);
  }
  return header.readUInt32BE(0) === MAGIC ? Number(header.readBigUInt64BE(SIZE_OFFSET)) : undefined;
}
