/** `pvesm add|set|remove`: sections of storage.cfg (pve-storage src/PVE/API2/Storage/Config.pm), checked as far as this stand-in uses them. */
import { mkdirSync } from 'node:fs';
import { text, type Verb, type VerbHandler } from './pct/context.ts';
import { readPveFile, requireQuorum, writePveFile } from './pmxcfs.ts';
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

export const changeStorage: VerbHandler = async (verb) => {
  requireQuorum(verb.host);
  const id = text(verb, 'storage') ?? '';
  const sections = parseStorageCfg(readPveFile(verb.host, 'storage.cfg'));
  const known = sections.find((s) => s.id === id);
  if (verb.call.command === 'add') {
    if (known !== undefined) throw new ToolError(`create storage failed: storage ID '${id}' already defined\n`);
    store(verb, [...sections, added(verb, id)]);
    return 0;
  }
  if (known === undefined)
    throw new ToolError(
      verb.call.command === 'remove'
        ? `delete storage failed: storage '${id}' does not exist\n`
        : `update storage failed: storage '${id}' does not exist\n`,
    );
  if (verb.call.command === 'remove')
    store(
      verb,
      sections.filter((s) => s !== known),
    );
  else
    store(
      verb,
      sections.map((s) => (s === known ? { ...s, options: changed(verb, s) } : s)),
    );
  return 0;
};

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
