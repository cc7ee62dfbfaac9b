/**
 * `debugfs -f - DEVICE` with `stat "/path"` and `cat "/path"` lines: what a node tells of a raw volume without mounting it. The files of
 * a raw volume lie beside it on a stand-in (dir-volumes.ts), so they are looked at there.
 */
import { existsSync, lstatSync, readFileSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Tool, ToolIo } from '../call/tool.ts';

export const debugfs: Tool = async (_host, argv, io) => {
  const device = argv.at(-1) ?? '';
  io.err('debugfs 1.47.2 (1-Jan-2025)\n');
  const root = device.replace(/\/images\/(?=[^/]+\/[^/]+$)/, '/.volumes/');
  if (argv[0] !== '-f' || argv[1] !== '-' || root === device || !existsSync(root)) {
    io.err(`debugfs: Bad magic number in super-block while trying to open ${device}\n`);
    return 0;
  }
  for (const line of (await text(io.stdin as AsyncIterable<Uint8Array> & NodeJS.ReadableStream)).split('\n'))
    if (line !== '') answer(root, line, io);
  return 0;
};

function answer(root: string, line: string, io: ToolIo): void {
  io.out(`debugfs: ${line}\n`);
  const [, verb, path] = /^(stat|cat) "(\/[^"]*)"$/.exec(line) ?? [];
  const stat = path === undefined ? undefined : lstatSync(join(root, path), { throwIfNoEntry: false });
  if (stat === undefined) io.err(`${path ?? line}: File not found by ext2_lookup \n`);
  else if (verb === 'stat') io.out(inode(stat));
  else if (stat.isFile()) io.out(readFileSync(join(root, path ?? ''), 'utf8'));
}

function inode(stat: Stats): string {
  const type = stat.isFile()
    ? 'regular'
    : stat.isDirectory()
      ? 'directory'
      : stat.isSymbolicLink()
        ? 'symlink'
        : 'FIFO';
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, '0');
  return [
    `Inode: ${stat.ino}   Type: ${type}    Mode:  ${mode}   Flags: 0x80000`,
    `User: ${String(stat.uid).padStart(5)}   Group: ${String(stat.gid).padStart(5)}   Project:     0   Size: ${stat.size}`,
    `Links: ${stat.nlink}   Blockcount: ${stat.blocks}`,
    '',
  ].join('\n');
}
