/**
 * Where the members of an uncompressed tar archive lie, without reading their contents: an OCI archive may hold
 * gigabytes, and its blobs are needed in another order than they are stored (proxmox-oci src/oci_tar_image.rs does the same).
 */
import { type FileHandle, open } from 'node:fs/promises';

export interface ArchiveMember {
  readonly offset: number;
  readonly size: number;
}

const BLOCK = 512;
const LONG_NAME = 'L';
const PAX_LOCAL = 'x';
const REGULAR = new Set(['0', '\0', '']);

/** Regular members by name; the last one of a name wins. Throws on a file that is no tar archive or is cut short. */
export async function indexArchive(path: string): Promise<Map<string, ArchiveMember>> {
  const file = await open(path, 'r');
  try {
    return await readMembers(file, (await file.stat()).size);
  } finally {
    await file.close();
  }
}

async function readMembers(file: FileHandle, end: number): Promise<Map<string, ArchiveMember>> {
  const members = new Map<string, ArchiveMember>();
  const header = Buffer.alloc(BLOCK);
  let at = 0;
  let longName: string | undefined;
  while (at + BLOCK <= end) {
    await file.read(header, 0, BLOCK, at);
    if (header.every((byte) => byte === 0)) break;
    if (!hasValidChecksum(header)) throw new Error('invalid tar header');
    const size = numberField(header, 124, 12);
    const type = String.fromCharCode(header[156] ?? 0);
    const offset = at + BLOCK;
    if (offset + size > end) throw new Error('unexpected end of file');
    if (type === LONG_NAME || type === PAX_LOCAL)
      longName = nameFrom(type, await readText(file, offset, size)) ?? longName;
    else {
      if (REGULAR.has(type)) members.set(longName ?? plainName(header), { offset, size });
      longName = undefined;
    }
    at = offset + Math.ceil(size / BLOCK) * BLOCK;
  }
  return members;
}

async function readText(file: FileHandle, offset: number, size: number): Promise<string> {
  if (size > 64 * 1024) throw new Error('oversized tar name');
  const data = Buffer.alloc(size);
  await file.read(data, 0, size, offset);
  return data.toString('utf8');
}

function nameFrom(type: string, text: string): string | undefined {
  if (type === LONG_NAME) return text.replace(/\0.*$/s, '');
  return /(?:^|\n)\d+ path=(.*)\n/.exec(text)?.[1];
}

function plainName(header: Buffer): string {
  const name = textField(header, 0, 100);
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? textField(header, 345, 155) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function textField(header: Buffer, start: number, length: number): string {
  return header.toString('utf8', start, start + length).replace(/\0.*$/s, '');
}

/** Octal text, or base 256 when the top bit is set (sizes beyond 8 GiB). */
function numberField(header: Buffer, start: number, length: number): number {
  if (((header[start] ?? 0) & 0x80) !== 0) return Number(header.readBigUInt64BE(start + length - 8));
  return Number.parseInt(textField(header, start, length).trim() || '0', 8);
}

function hasValidChecksum(header: Buffer): boolean {
  let sum = 0;
  for (let i = 0; i < BLOCK; i += 1) sum += i >= 148 && i < 156 ? 32 : (header[i] ?? 0);
  return sum === numberField(header, 148, 8);
}
