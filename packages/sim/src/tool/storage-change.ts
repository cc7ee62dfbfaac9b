/** `pvesm add|set|remove`: sections of storage.cfg (pve-storage src/PVE/API2/Storage/Config.pm), checked as far as this stand-in uses them. */
import { mkdirSync } from 'node:fs';
import { switchesOf } from '../call/switches.ts';
import { ToolError } from '../call/tool.ts';
import { withCfsLock } from '../cluster/cfs-lock.ts';
import { readPveFile, writePveFile } from '../cluster/pmxcfs.ts';
import { text, type Verb, type VerbHandler } from '../pct/context.ts';
import { readPools } from '../pool/state.ts';
import { splitList } from '../schema/format.ts';
import { propertyOf, toolSchema } from '../schema/schema-data.ts';
import { formatStorageCfg, parseStorageCfg, type Storage } from '../text/storage-cfg.ts';

/** Option that a storage of the type cannot be without. */
const REQUIRED: Readonly<Record<string, string>> = {
  dir: 'path',
  zfspool: 'pool',
  nfs: 'server',
  cifs: 'server',
  lvm: 'vgname',
  lvmthin: 'vgname',
};
/** Options by type: those given once for all, the others, and what the type can hold (its plugin in pve-storage src/PVE/Storage). */
const OPTIONS: Readonly<
  Record<string, { fixed: ReadonlySet<string>; free: ReadonlySet<string>; content: ReadonlySet<string> }>
> = {
  dir: {
    fixed: new Set(['path']),
    free: new Set(
      'content-dirs nodes shared disable prune-backups max-protected-backups content format mkdir create-base-path create-subdirs is_mountpoint bwlimit preallocation snapshot-as-volume-chain'.split(
        ' ',
      ),
    ),
    content: new Set('images rootdir vztmpl iso backup snippets none import'.split(' ')),
  },
  zfspool: {
    fixed: new Set(['pool']),
    free: new Set('blocksize sparse nodes disable content bwlimit mountpoint'.split(' ')),
    content: new Set(['images', 'rootdir']),
  },
};
const FIXED_IF_SET = new Set(['snapshot-as-volume-chain']);
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
      sections.map((s) => (s === known ? { ...s, options: changed(verb, s, prefix) } : s)),
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
  const refuse = (reason: string): never => {
    throw new ToolError(`${reason}\n`);
  };
  checkOptions(verb, { type, values: options, refuse });
  if (type === 'zfspool') requirePool(verb, { id, pool: (options['pool'] ?? '').replace(/\/.*$/s, '') });
  if (type === 'dir') mkdirSync(verb.host.path(options['path'] ?? '/'), { recursive: true });
  return { id, type, options };
}

/**
 * A storage that cannot be activated is not added (pve-storage src/PVE/Storage/ZFSPoolPlugin.pm activate_storage): the
 * pool is asked for its properties, looked for, imported and looked for again, and of each program that fails the last
 * line goes into the error, the lines before it to stderr.
 */
function requirePool(verb: Verb, { id, pool }: { id: string; pool: string }): void {
  const isLoaded = switchesOf(verb.host).noZfs !== true;
  if (isLoaded && readPools(verb.host).pools.some(({ name }) => name === pool)) return;
  const before = isLoaded ? '' : 'The ZFS modules cannot be auto-loaded.\n';
  const last = (text: string): string =>
    `zfs error: ${isLoaded ? text : "Try running 'modprobe zfs' as root to manually load them."}\n\n`;
  const notFound = `${before}${before}${last(`cannot open '${pool}': no such pool`)}`;
  const reason = last(`cannot import '${pool}': no such pool available`);
  verb.io.err(`${notFound}${notFound}`);
  throw new ToolError(`create storage failed: could not activate storage '${id}', ${reason}`, 1);
}

function changed(verb: Verb, storage: Storage, prefix: string): Record<string, string> {
  const values = given(verb);
  const refuse = (text: string): never => {
    throw new ToolError(`${prefix}${text}\n`);
  };
  checkOptions(verb, { type: storage.type, values, refuse });
  const removed = splitList(text(verb, 'delete') ?? '');
  const { fixed, free } = OPTIONS[storage.type] ?? {};
  for (const key of removed) {
    const isRequired = fixed?.has(key) === true;
    if (free?.has(key) === false && !isRequired) refuse(`no such option '${key}'`);
    if (isRequired) refuse(`unable to delete required option '${key}'`);
    if (FIXED_IF_SET.has(key)) refuse(`unable to delete fixed option '${key}'`);
    if (verb.call.params[key] !== undefined) refuse(`cannot set and delete property '${key}' at the same time!`);
  }
  const kept = Object.entries(storage.options).filter(
    ([key]) => !removed.includes(key) && !(key === 'disable' && text(verb, 'disable') === '0'),
  );
  return { ...Object.fromEntries(kept), ...values };
}

interface OptionCheck {
  readonly type: string;
  readonly values: Record<string, string>;
  readonly refuse: (text: string) => never;
}

/**
 * What the type does not know is refused, content that it cannot hold is left out with a word (pve-common
 * src/PVE/SectionConfig.pm check_value, pve-storage src/PVE/Storage/Plugin.pm decode_value).
 */
function checkOptions(verb: Verb, { type, values, refuse }: OptionCheck): void {
  const known = OPTIONS[type];
  if (known === undefined) return;
  for (const key of Object.keys(values))
    if (!known.fixed.has(key) && !known.free.has(key)) refuse(`unexpected property '${key}'`);
  const asked = values['content'];
  if (asked === undefined) return;
  const words = splitList(asked);
  const held = words.filter((word) => known.content.has(word));
  for (const word of words.filter((one) => !held.includes(one)))
    verb.io.err(`storage does not support content type '${word}'\n`);
  if (held.includes('none') && held.length > 1) refuse("unable to combine 'none' with other content types");
  if (held.length > 0) values['content'] = held.join(',');
  else if (known.content.has('none')) values['content'] = 'none';
  else refuse("storage does not support content type 'none'");
}

function store(verb: Verb, sections: readonly Storage[]): void {
  writePveFile(verb.host, { path: 'storage.cfg', text: formatStorageCfg(sections) });
}
