/**
 * Files that only a listing names: the state of such a step holds no templates, so what `pvesm list`, `pveam list` or
 * an API listing printed is put there first. What is compared is then form, order and widths.
 */
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Host } from '../../../packages/sim/src/host/host.ts';
import type { RecordedStep } from './recorded-step.ts';

interface Listed {
  readonly volume: string;
  readonly size: number;
}

const FOLDERS: Readonly<Record<string, string>> = {
  vztmpl: 'template/cache',
  snippets: 'snippets',
  iso: 'template/iso',
};

export function seedListed(host: Host, step: RecordedStep): void {
  const rows = listedRows(step);
  if (rows === undefined) return;
  for (const folder of Object.values(FOLDERS))
    rmSync(host.path(`/var/lib/vz/${folder}`), { recursive: true, force: true });
  for (const folder of Object.values(FOLDERS)) mkdirSync(host.path(`/var/lib/vz/${folder}`), { recursive: true });
  for (const { volume, size } of rows) put(host, volume, size);
}

function listedRows({ argv, stdout }: RecordedStep): Listed[] | undefined {
  if (typeof stdout !== 'string' || argv[1] !== 'list' || argv[2] !== 'local') return undefined;
  const lines = stdout.split('\n');
  if (argv[0] === 'pveam')
    return lines
      .map((line) => /^local:(\S.*?) +([\d.]+)MB$/.exec(line))
      .filter((row) => row !== null)
      .map((row) => ({ volume: row[1] ?? '', size: Math.round(Number(row[2]) * 1024 * 1024) }));
  if (argv[0] !== 'pvesm') return undefined;
  return lines
    .map((line) => /^local:(\S.*?) +(\S+) +\w+ +(\d+)(?: \d+)?$/.exec(line))
    .filter((row) => row !== null)
    .map((row) => ({ volume: row[1] ?? '', size: Number(row[3]) }));
}

function put(host: Host, volume: string, size: number): void {
  const [, kind = '', name = ''] = /^([a-z]+)\/(.+)$/.exec(volume) ?? [];
  const folder = FOLDERS[kind];
  const path = host.path(join('/var/lib/vz', folder === undefined ? `images/${volume}` : `${folder}/${name}`));
  if (volume.endsWith('.subvol')) return void mkdirSync(path, { recursive: true });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  truncateSync(path, size);
}
