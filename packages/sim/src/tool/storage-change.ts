/** `pvesm add|set|remove`: sections of storage.cfg (pve-storage src/PVE/API2/Storage/Config.pm), checked as far as this stand-in uses them. */
import { createHash } from 'node:crypto';
import { normalize } from 'node:path';
import { switchesOf } from '../call/switches.ts';
import { ToolError } from '../call/tool.ts';
import { withCfsLock } from '../cluster/cfs-lock.ts';
import { readPveFile, writePveFile } from '../cluster/pmxcfs.ts';
import { text, type Verb, type VerbHandler } from '../pct/context.ts';
import { findDataset, mountpointOf, readPools } from '../pool/state.ts';
import { splitList } from '../schema/format.ts';
import { propertyOf, requiredOptions, type StorageType, storageTypes, toolSchema } from '../schema/schema-data.ts';
import { backendOf } from '../storage/backend.ts';
import { formatStorageCfg, isDisabled, isOnNode, parseStorageCfg, type Storage } from '../text/storage-cfg.ts';

const NOT_OPTIONS = new Set(['storage', 'type', 'delete', 'digest']);

/** What the tools of ZFS say where its kernel modules are not loaded. */
export const MODULES_MISSING = 'The ZFS modules cannot be auto-loaded.\n';
export const MODULES_HINT = "Try running 'modprobe zfs' as root to manually load them.";

/** What failed, in the words of each sub-command. */
const FAILURE: Readonly<Record<string, string>> = {
  add: 'create storage failed: ',
  set: 'update storage failed: ',
  remove: 'delete storage failed: ',
};

export const changeStorage: VerbHandler = async (verb) => {
  const { command } = verb.call;
  const prefix = FAILURE[command] ?? '';
  const lock = { host: verb.host, id: 'file-storage_cfg', prefix, say: verb.io.err };
  // A new section is looked at before anybody waits for the lock.
  const wanted = command === 'add' ? checkedSection(verb, text(verb, 'storage') ?? '') : undefined;
  await withCfsLock(lock, async () => {
    try {
      await change(verb, wanted);
    } catch (err) {
      if (!(err instanceof ToolError)) throw err;
      throw new ToolError(`${prefix}${err.message}`, err.status);
    }
  });
  return 0;
};

async function change(verb: Verb, wanted: Storage | undefined): Promise<void> {
  const id = text(verb, 'storage') ?? '';
  const stored = readPveFile(verb.host, 'storage.cfg');
  const sections = parseStorageCfg(stored);
  const known = sections.find((s) => s.id === id);
  if (wanted !== undefined) {
    if (known !== undefined) throw new ToolError(`storage ID '${id}' already defined\n`);
    const settled = withMountpoint(verb, wanted);
    tellOfMkdir(verb, settled);
    await activate(verb, settled);
    store(verb, [...sections, settled]);
    return;
  }
  if (verb.call.command === 'set') requireDigest(stored ?? '', text(verb, 'digest'));
  if (known === undefined) throw new ToolError(`storage '${id}' does not exist\n`);
  if (verb.call.command === 'remove') {
    store(
      verb,
      sections.filter((s) => s !== known),
    );
    return;
  }
  const next = { ...known, options: changed(verb, known) };
  tellOfMkdir(verb, next);
  store(
    verb,
    sections.map((s) => (s === known ? next : s)),
  );
}

/** A storage of a dataset that is there remembers where it is mounted (pve-storage src/PVE/Storage/ZFSPoolPlugin.pm on_add_hook). */
function withMountpoint({ host, io }: Verb, storage: Storage): Storage {
  const { id, type, options } = storage;
  if (type !== 'zfspool' || switchesOf(host).noZfs === true) return storage;
  const state = readPools(host);
  const dataset = findDataset(state, options['pool'] ?? '');
  const current = dataset === undefined ? undefined : mountpointOf(state, dataset);
  if (current?.startsWith('/') !== true) return storage;
  const wanted = options['mountpoint'];
  if (wanted === undefined) return { ...storage, options: { ...options, mountpoint: current } };
  if (wanted.replace(/\/$/, '') !== current)
    io.err(`warning for ${id} - mountpoint: ${wanted} does not match current mount point: ${current}\n`);
  return storage;
}

function requireDigest(stored: string, given: string | undefined): void {
  if (given === undefined || given === '' || given === createHash('sha1').update(stored).digest('hex')) return;
  throw new ToolError('detected modified configuration - file changed by other user? Try again.\n');
}

function tellOfMkdir({ io }: Verb, { id, options }: Storage): void {
  if (options['mkdir'] === undefined) return;
  io.err(
    `NOTE: The 'mkdir' option set for '${id}' is deprecated and will be removed in Proxmox VE 9. Use 'create-base-path' or 'create-subdirs' instead.\n`,
  );
}

function given(verb: Verb): Record<string, string> {
  const params = toolSchema('pvesm')['add']?.params ?? {};
  const options = Object.entries(verb.call.params).filter(
    ([key]) => !NOT_OPTIONS.has(key) && propertyOf(params, key) !== undefined,
  );
  return Object.fromEntries(
    options
      .filter(([key, value]) => !(key === 'disable' && String(value) === '0'))
      .map(([key, value]) => [key, String(value)]),
  );
}

/** Storages of a server are mounted below this folder when they name none. */
const MOUNTED = new Set(['nfs', 'cifs', 'cephfs']);

function checkedSection(verb: Verb, id: string): Storage {
  const type = text(verb, 'type') ?? '';
  const options = given(verb);
  if (MOUNTED.has(type)) options['path'] ??= `/mnt/pve/${id}`;
  if (options['nodes'] === '') delete options['nodes'];
  const rules = storageTypes()[type];
  if (rules !== undefined) checkOptions(verb, rules, options);
  for (const key of rules?.required ?? [])
    if (options[key] === undefined) throw new ToolError(`missing value for required option '${key}'\n`);
  if (type === 'dir') options['path'] = directoryPath(options['path'] ?? '');
  return { id, type, options };
}

function directoryPath(path: string): string {
  if (!/^\/[-/a-zA-Z0-9_.@]+$/.test(path)) throw new ToolError(`illegal path for directory storage: ${path}\n`);
  return normalize(path).replace(/(?<=.)\/$/, '');
}

/** A storage that this node would use, but cannot, is not added. */
async function activate(verb: Verb, storage: Storage): Promise<void> {
  const { host } = verb;
  if (isDisabled(storage) || !isOnNode(storage, host.name)) return;
  const { type, id, options } = storage;
  // Nothing answers there.
  if (type === 'nfs' || type === 'cifs') throw new ToolError(`storage '${id}' is not online\n`);
  if (type === 'zfspool') requirePool(verb, { id, pool: (options['pool'] ?? '').replace(/\/.*$/s, '') });
  await (await backendOf(type))?.activate?.(host, storage);
}

/**
 * A storage that cannot be activated is not added (pve-storage src/PVE/Storage/ZFSPoolPlugin.pm activate_storage): the
 * pool is asked for its properties, looked for, imported and looked for again, and of each program that fails the last
 * line goes into the error, the lines before it to stderr.
 */
function requirePool(verb: Verb, { id, pool }: { id: string; pool: string }): void {
  const isLoaded = switchesOf(verb.host).noZfs !== true;
  if (isLoaded && readPools(verb.host).pools.some(({ name }) => name === pool)) return;
  const before = isLoaded ? '' : MODULES_MISSING;
  const last = (text: string): string => `zfs error: ${isLoaded ? text : MODULES_HINT}\n\n`;
  const notFound = `${before}${before}${last(`cannot open '${pool}': no such pool`)}`;
  const reason = last(`cannot import '${pool}': no such pool available`);
  verb.io.err(`${notFound}${notFound}`);
  throw new ToolError(`could not activate storage '${id}', ${reason}`, 1);
}

function changed(verb: Verb, storage: Storage): Record<string, string> {
  const values = given(verb);
  const rules = storageTypes()[storage.type];
  for (const key of Object.keys(values))
    if (rules?.fixed.includes(key) === true) throw new ToolError(`can't change value of fixed parameter '${key}'\n`);
  if (rules !== undefined) checkOptions(verb, rules, values);
  const removed = splitList(text(verb, 'delete') ?? '');
  for (const key of removed) if (rules !== undefined) requireDeletable(verb, rules, key);
  const kept = Object.entries(storage.options).filter(
    ([key]) => !removed.includes(key) && !(key === 'disable' && text(verb, 'disable') === '0'),
  );
  return { ...Object.fromEntries(kept), ...values };
}

function requireDeletable(verb: Verb, { required, fixed, optional }: StorageType, key: string): void {
  const refuse = (reason: string): never => {
    throw new ToolError(`${reason}\n`);
  };
  if (required.includes(key)) refuse(`unable to delete required option '${key}'`);
  if (!optional.includes(key)) refuse(`no such option '${key}'`);
  if (fixed.includes(key)) refuse(`unable to delete fixed option '${key}'`);
  if (verb.call.params[key] !== undefined) refuse(`cannot set and delete property '${key}' at the same time!`);
}

/**
 * What the type does not know is refused, content that it cannot hold is left out with a word (pve-common
 * src/PVE/SectionConfig.pm check_value, pve-storage src/PVE/Storage/Plugin.pm decode_value).
 */
function checkOptions(verb: Verb, rules: StorageType, values: Record<string, string>): void {
  const refuse = (reason: string): never => {
    throw new ToolError(`${reason}\n`);
  };
  for (const key of Object.keys(values))
    if (!rules.required.includes(key) && !rules.optional.includes(key)) refuse(`unexpected property '${key}'`);
  const asked = values['content'];
  if (asked === undefined) return;
  const words = splitList(asked);
  const held = words.filter((word) => rules.content.includes(word));
  for (const word of words.filter((one) => !held.includes(one)))
    verb.io.err(`storage does not support content type '${word}'\n`);
  if (held.includes('none') && held.length > 1) refuse("unable to combine 'none' with other content types");
  if (held.length > 0) values['content'] = held.join(',');
  else if (rules.content.includes('none')) values['content'] = 'none';
  else refuse("storage does not support content type 'none'");
}

function store(verb: Verb, sections: readonly Storage[]): void {
  writePveFile(verb.host, { path: 'storage.cfg', text: formatStorageCfg(sections, requiredOptions) });
}
