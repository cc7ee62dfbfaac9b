/** `pvesm` (pve-storage src/PVE/CLI/pvesm.pm): status, list, alloc, free, path, apiinfo, add, set, remove, scan zfs. */
import { existsSync, rmSync } from 'node:fs';
import { deathSignal } from '../call/call.ts';
import { withFileLock } from '../call/file-lock.ts';
import { switchesOf } from '../call/switches.ts';
import { errorText, type Tool, ToolError } from '../call/tool.ts';
import { runTask } from '../cluster/task.ts';
import { flag, text, type Verb, type VerbHandler } from '../pct/context.ts';
import { readPools } from '../pool/state.ts';
import { parameterError } from '../schema/command.ts';
import { type ContentRow, contentRows } from '../storage/content.ts';
import { allocVolume, enabledStorage, findVolume, volumeBackend, volumePath } from '../storage/storages.ts';
import type { VolumeFormat } from '../storage/volumes.ts';
import { contentOf, isDisabled, isOnNode, type Storage } from '../text/storage-cfg.ts';
import { runCommands } from './run-commands.ts';

interface StatusRow {
  readonly storage: Storage;
  readonly state: 'active' | 'inactive' | 'disabled';
  readonly kib: readonly [total: number, used: number, available: number];
}

async function statusRow(verb: Verb, storage: Storage): Promise<StatusRow> {
  if (isDisabled(storage) || !isOnNode(storage, verb.host.name)) return { storage, state: 'disabled', kib: [0, 0, 0] };
  try {
    const space = await (await volumeBackend(storage)).space(verb.host, storage);
    const kib = (bytes: number): number => Math.floor(bytes / 1024);
    return { storage, state: 'active', kib: [kib(space.totalBytes), kib(space.usedBytes), kib(space.availableBytes)] };
  } catch (err) {
    verb.io.err(`${errorText(err)}\n`);
    return { storage, state: 'inactive', kib: [0, 0, 0] };
  }
}

const status: VerbHandler = async (verb) => {
  const wanted = text(verb, 'storage');
  const content = text(verb, 'content');
  if (wanted !== undefined && !verb.host.storages().some((s) => s.id === wanted))
    throw parameterError(verb.call, { storage: 'No such storage.' });
  const storages = verb.host
    .storages()
    .filter(
      (s) => (wanted === undefined || s.id === wanted) && (content === undefined || contentOf(s).includes(content)),
    );
  const rows: StatusRow[] = [];
  for (const storage of storages.sort((a, b) => (a.id < b.id ? -1 : 1))) rows.push(await statusRow(verb, storage));
  const shown = rows.filter((row) => !(flag(verb, 'enabled') && row.state === 'disabled'));
  const width = Math.max(0, ...shown.map((row) => row.storage.id.length)) + 1;
  const line = (words: readonly string[], percent: string): string =>
    `${(words[0] ?? '').padEnd(width)} ${(words[1] ?? '').padStart(10)} ${(words[2] ?? '').padStart(10)} ${words
      .slice(3)
      .map((w) => w.padStart(15))
      .join(' ')} ${percent.padStart(8)}\n`;
  verb.io.out(line(['Name', 'Type', 'Status', 'Total (KiB)', 'Used (KiB)', 'Available (KiB)'], '%'));
  for (const { storage, state, kib } of shown) {
    const percent = kib[0] > 0 ? (kib[1] * 100) / kib[0] : 0;
    // "% 7.2f%%": a blank or a minus before the number, seven columns
    const shownPercent = state === 'disabled' ? 'N/A'.padStart(8) : `${` ${percent.toFixed(2)}`.padStart(7)}%`;
    verb.io.out(line([storage.id, storage.type, state, ...kib.map(String)], shownPercent));
  }
  return 0;
};

const list: VerbHandler = async (verb) => {
  const storage = enabledStorage(verb.host, text(verb, 'storage') ?? '');
  const content = text(verb, 'content');
  const vmid = text(verb, 'vmid');
  const all = await contentRows(verb.host, storage, vmid === undefined ? undefined : Number(vmid));
  const rows = all.filter((row) => content === undefined || row.content === content);
  const width = Math.max(0, ...rows.map((row) => row.volid.length));
  const digits = String(Math.max(0, ...rows.map((row) => row.sizeBytes))).length;
  const line = (words: readonly [volid: string, format: string, kind: string, size: string]): string =>
    `${words[0].padEnd(width)} ${words[1].padEnd(7)} ${words[2].padEnd(9)} ${words[3].padStart(digits)}`;
  verb.io.out(`${line(['Volid', 'Format', 'Type', 'Size'])} VMID\n`);
  const print = (row: ContentRow): string => line([row.volid, row.format, row.content, String(row.sizeBytes)]);
  for (const row of rows) if (row.vmid !== undefined) verb.io.out(`${print(row)} ${row.vmid}\n`);
  const loose = rows
    .filter((row) => row.vmid === undefined)
    .sort((a, b) => (a.format < b.format ? -1 : a.format > b.format ? 1 : 0));
  for (const row of loose) verb.io.out(`${print(row)}\n`);
  return 0;
};

/** KiB unless the size says M or G. */
function allocBytes(size: string): number {
  const number = Number(/^\d+/.exec(size)?.[0] ?? 0);
  return number * (size.endsWith('G') ? 1024 ** 3 : size.endsWith('M') ? 1024 ** 2 : 1024);
}

const alloc: VerbHandler = async (verb) => {
  const { host, io } = verb;
  const storage = enabledStorage(host, text(verb, 'storage') ?? '');
  const name = text(verb, 'filename') ?? '';
  const named = /\.(raw|qcow2|vmdk)$/.exec(name)?.[1];
  const asked = text(verb, 'format');
  if (named !== undefined && asked !== undefined && asked !== named)
    throw parameterError(verb.call, { format: `different storage formats (${asked} != ${named})` });
  const format = (asked ?? named ?? 'raw') as VolumeFormat;
  const lock = {
    host,
    path: `/var/lock/pve-manager/pve-storage-${storage.id}`,
    waitMs: 10_000,
    say: io.err,
    signal: io.signal,
    death: deathSignal(io),
  };
  const volid = await withFileLock(lock, () =>
    allocVolume(host, storage, {
      vmid: verb.vmid,
      ...(name === '' ? {} : { name }),
      format,
      sizeBytes: allocBytes(text(verb, 'size') ?? '0'),
      log: io.out,
    }),
  );
  io.out(`successfully created '${volid}'\n`);
  return 0;
};

/** Exits 0 whatever becomes of its task. */
const free: VerbHandler = async (verb) => {
  const { host } = verb;
  const given = text(verb, 'volume') ?? '';
  const storageId = text(verb, 'storage');
  if (!given.includes(':') && storageId === undefined)
    throw parameterError(verb.call, { volume: 'no storage specified - incomplete volume ID' });
  const volid = given.includes(':') ? given : `${storageId ?? ''}:${given}`;
  const { storage, volname, parsed } = findVolume(host, volid);
  enabledStorage(host, storage.id);
  await runTask(
    verb,
    { type: 'imgdel', id: parsed.vmid === undefined ? storage.id : `${parsed.vmid}@${storage.id}`, tool: 'pvesm' },
    async (task) => {
      const path = await volumePath(host, volid);
      if (parsed.kind !== 'images') {
        if (existsSync(host.path(path))) rmSync(host.path(path));
        else task.log(`disk image '${path}' does not exist\n`);
      } else {
        const backend = await volumeBackend(storage);
        const at = { host, storage, volname };
        if (await backend.exists(at)) await backend.destroy(at);
        // The ZFS plugin takes a dataset that is not there for destroyed (ZFSPoolPlugin.pm free_image).
        else if (storage.type !== 'zfspool') task.log(`disk image '${path}' does not exist\n`);
      }
      task.log(`Removed volume '${volid}'\n`);
    },
  );
  return 0;
};

const path: VerbHandler = async (verb) => {
  const found = await volumePath(verb.host, text(verb, 'volume') ?? '');
  verb.io.out(`${found}\n`);
  return 0;
};

/** Backups hold no config here: only a missing one can be answered. */
const extractconfig: VerbHandler = async (verb) => {
  const volid = text(verb, 'volume') ?? '';
  if (!existsSync(verb.host.path(await volumePath(verb.host, volid))))
    throw new ToolError(`volume '${volid}' does not exist\n`, 2);
  throw new ToolError('reading backups is not part of this stand-in\n');
};

const apiinfo: VerbHandler = async (verb) => {
  verb.io.out('APIVER 15\nAPIAGE 6\n');
  return 0;
};

/** Every file system but those that are volumes of containers. */
const scanZfs: VerbHandler = async ({ host, io }) => {
  if (switchesOf(host).noZfs === true) {
    const { MODULES_HINT, MODULES_MISSING } = await import('./storage-change.ts');
    io.err(`${MODULES_MISSING}${MODULES_HINT}\n`);
    throw new ToolError("command 'zfs list -t filesystem -Hp -o name,avail,used' failed: exit code 1\n", 1);
  }
  const systems = readPools(host).datasets.filter(({ type }) => type === 'filesystem');
  const names = systems.map(({ name }) => name).filter((name) => !/\/(?:subvol|basevol)-\d+-[^/]+$/.test(name));
  for (const name of names.sort()) io.out(`${name}\n`);
  return 0;
};

const change = async (): Promise<VerbHandler> => (await import('./storage-change.ts')).changeStorage;

export const pvesm: Tool = (host, argv, io) =>
  runCommands({
    tool: 'pvesm',
    host,
    argv,
    io,
    verbs: {
      status: async () => status,
      list: async () => list,
      alloc: async () => alloc,
      free: async () => free,
      path: async () => path,
      apiinfo: async () => apiinfo,
      extractconfig: async () => extractconfig,
      'scan zfs': async () => scanZfs,
      add: change,
      set: change,
      remove: change,
    },
  });
