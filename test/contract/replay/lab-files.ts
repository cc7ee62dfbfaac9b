/** Files of the recorded lab: the busybox root its template was made of, snippets, keys and files to push. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../../../packages/sim/src/host/host.ts';

const BUSYBOX = '/usr/bin/busybox';
/** Without a shell that runs, nothing inside a guest can be replayed. */
export const hasBusybox = existsSync(BUSYBOX);
const FOLDERS = ['bin', 'dev', 'etc', 'proc', 'root', 'run', 'sbin', 'sys', 'tmp'] as const;
const TEMPLATE = 'busybox-1.35_amd64.tar.gz';

export interface Template {
  /** The root file system as a directory. */
  readonly tree: string;
  readonly archive: string;
}

/** The recorded lab's template: a root without os-release and without any file of a distribution. */
export function makeTemplates(folder: string): Template {
  const tree = join(folder, 'tree');
  const thin = join(folder, 'thin');
  for (const root of [tree, thin]) {
    for (const name of FOLDERS) mkdirSync(join(root, name), { recursive: true });
    chmodSync(join(root, 'tmp'), 0o1777);
    writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
    symlinkSync('../bin/busybox', join(root, 'sbin/init'));
  }
  // What is unpacked at every create is kept small; the tree of running guests has the programs.
  writeFileSync(join(thin, 'bin/busybox'), '#!not an ELF file\n', { mode: 0o755 });
  symlinkSync('busybox', join(thin, 'bin/sh'));
  if (hasBusybox) fillPrograms(tree);
  const archive = join(folder, TEMPLATE);
  execFileSync('tar', ['-C', thin, '-czf', archive, '.']);
  return { tree, archive };
}

function fillPrograms(tree: string): void {
  copyFileSync(BUSYBOX, join(tree, 'bin/busybox'));
  chmodSync(join(tree, 'bin/busybox'), 0o755);
  const names = execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).split('\n');
  for (const name of names) if (name !== '' && name !== 'busybox') symlinkSync('busybox', join(tree, 'bin', name));
}

/** Fills an empty root file system as an unprivileged guest's would be after the template. */
export function fillRoot(template: Template, root: string, folders: readonly string[] = []): void {
  if (existsSync(root) && readdirSync(root).length > 0) return;
  mkdirSync(root, { recursive: true });
  execFileSync('cp', ['-a', `${template.tree}/.`, root]);
  for (const folder of folders) mkdirSync(join(root, folder), { recursive: true });
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', '-h', '100000:100000', root]);
}

const FILES: Readonly<Record<string, { readonly text: string; readonly mode?: number }>> = {
  '/var/lib/vz/snippets/hk.sh': {
    text: '#!/bin/sh\necho hook\n[ "$2" = post-stop ] && exit 3\nexit 0\n',
    mode: 0o755,
  },
  '/var/lib/vz/snippets/bad.sh': { text: '#!/bin/sh\nexit 9\n', mode: 0o755 },
  '/var/lib/vz/snippets/noexec.sh': { text: 'x\n' },
  '/root/k1.pub': {
    text: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleExam lab\n',
  },
  '/root/k2': { text: 'not a key\n' },
  '/root/f1': { text: 'hello\n' },
  '/root/f200k': { text: 'x'.repeat(200_000) },
};

export function seedFiles(host: Host, template: Template): void {
  copyFileSync(template.archive, host.path(`/var/lib/vz/template/cache/${TEMPLATE}`));
  for (const [path, { text, mode }] of Object.entries(FILES))
    writeFileSync(host.path(path), text, { mode: mode ?? 0o644 });
}
