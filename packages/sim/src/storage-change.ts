/** `pvesm add|set|remove`: sections of storage.cfg (pve-storage src/PVE/API2/Storage/Config.pm), checked as far as this stand-in uses them. */
import { mkdirSync } from 'node:fs';
import { withCfsLock } from './cfs-lock.ts';
import { text, type Verb, type VerbHandler } from './pct/context.ts';
import { readPveFile, writePveFile } from './pmxcfs.ts';
import { propertyOf, toolSchema } from './schema/schema-data.ts';
import { formatStorageCfg, parseStorageCfg, type Storage } from './storage-cfg.ts';
import { ToolError } from './tool.ts';

/** Option that a storage of the type cannot be without. */
const REQUIRED: Readonly<Record<string, string>> = {
  dir: 'path',
  zfspool: 'pool',
  nfs: 'server',
  cifs: 'server',
  lvm: 'vgname',
  lvmthin: 'vgname',
};
const NOT_OPTIONS = new Set(['storage', 'type', 'delete', 'digest']);

/** What failed, in the words of each sub-command. */
const FAILURE: Readonly<Record<string, string>> = {
  add: 'create storage failed: ',
  set: 'update storage failed: ',
  remove: 'delete storage failed: ',
};

export const changeStorage: VerbHandler = async (verb) => {
  const prefix = FAILURE[verb.call.command] ?? '';
  const lock = { host: verb.host, id: 'file-storage_cfg', prefix, say: verb.io.err };
  await withCfsLock(lock, () => change(verb, prefix));
  return 0;
};

function change(verb: Verb, prefix: string): void {
  const id = text(verb, 'storage') ?? '';
  const sections = parseStorageCfg(readPveFile(verb.host, 'storage.cfg'));
  const known = sections.find((s) => s.id === id);
  if (verb.call.command === 'add') {
    if (known !== undefined) throw new ToolError(`${prefix}storage ID '${id}' already defined\n`);
    store(verb, [...sections, added(verb, id)]);
    return;
  }
  if (known === undefined) throw new ToolError(`${prefix}storage '${id}' does not exist\n`);
  const others = sections.filter((s) => s !== known);
  if (verb.call.command === 'remove') store(verb, others);
  else
    store(
      verb,
      sections.map((s) => (s === known ? { ...s, options: changed(verb, s) } : s)),
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

function added(verb: Verb, id: string): Storage {
  const type = text(verb, 'type') ?? '';
  const options = given(verb);
  const needed = REQUIRED[type];
  if (needed !== undefined && options[needed] === undefined)
    throw new ToolError(`missing value for required option '${needed}'\n`);
  if (type === 'dir') mkdirSync(verb.host.path(options['path'] ?? '/'), { recursive: true });
  return { id, type, options };
}

function changed(verb: Verb, storage: Storage): Record<string, string> {
  const removed = (text(verb, 'delete') ?? '').split(/[,;\s]+/);
  const kept = Object.entries(storage.options).filter(
    ([key]) => !removed.includes(key) && !(key === 'disable' && text(verb, 'disable') === '0'),
  );
  return { ...Object.fromEntries(kept), ...given(verb) };
}

function store(verb: Verb, sections: readonly Storage[]): void {
  writePveFile(verb.host, { path: 'storage.cfg', text: formatStorageCfg(sections) });
}
