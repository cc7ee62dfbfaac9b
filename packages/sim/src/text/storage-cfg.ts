/**
 * storage.cfg: sections of a type and an id with tab-indented options (pve-storage src/PVE/Storage/Plugin.pm).
 * A missing `local` means the implicit directory storage at /var/lib/vz.
 */

/** One storage section. `options` are the words after the key, as written; flags without a value read '1'. */
export interface Storage {
  readonly id: string;
  readonly type: string;
  readonly options: Readonly<Record<string, string>>;
}

/** What a node has where its file names no `local`. */
export const IMPLICIT_LOCAL: Storage = {
  id: 'local',
  type: 'dir',
  options: { path: '/var/lib/vz', content: 'images,rootdir,vztmpl,iso,backup,snippets' },
};

/** Content types a section has when it names none (pve-storage, the `content` default of each plugin). */
const DEFAULT_CONTENT: Readonly<Record<string, string>> = {
  dir: 'images,rootdir',
  zfspool: 'images,rootdir',
  nfs: 'images',
  lvmthin: 'images,rootdir',
  lvm: 'images,rootdir',
};

/** Sections in the order of the file; the implicit `local` is added when the file has none. */
export function parseStorageCfg(text: string | undefined): Storage[] {
  const found: Storage[] = [];
  let options: Record<string, string> | undefined;
  for (const line of (text ?? '').split('\n')) {
    const header = /^([a-z][a-z0-9]*):\s*([A-Za-z][A-Za-z0-9\-_.]*[A-Za-z0-9])\s*$/.exec(line);
    if (header?.[1] !== undefined && header[2] !== undefined) {
      options = {};
      found.push({ type: header[1], id: header[2], options });
      continue;
    }
    const option = /^\s+(\S+)(?:\s+(.*?))?\s*$/.exec(line);
    if (option?.[1] !== undefined && options !== undefined) options[option[1]] = option[2] ?? '1';
    if (line.trim() === '') options = undefined;
  }
  return found.some((s) => s.id === 'local') ? found : [IMPLICIT_LOCAL, ...found];
}

/** `required`: the options that sections of a type cannot be without; they come first, the others follow by name (pve-common src/PVE/SectionConfig.pm write_config). */
export function formatStorageCfg(storages: readonly Storage[], required: (type: string) => readonly string[]): string {
  const section = ({ type, id, options }: Storage): string => {
    const leading = ['disable', ...required(type)].filter((key) => options[key] !== undefined);
    const others = Object.keys(options).filter((key) => !leading.includes(key));
    const line = (key: string): string => `\t${key}${flagless(key, options[key] ?? '')}\n`;
    return `${type}: ${id}\n${[...leading, ...others.sort()].map(line).join('')}`;
  };
  return `${storages.map(section).join('\n')}\n`;
}

function flagless(key: string, value: string): string {
  return key === 'disable' && value === '1' ? '' : ` ${value}`;
}

export function contentOf(storage: Storage): string[] {
  const words = storage.options['content'] ?? DEFAULT_CONTENT[storage.type] ?? '';
  return words.split(/[,;\s]+/).filter((word) => word !== '' && word !== 'none');
}

export function isDisabled(storage: Storage): boolean {
  return storage.options['disable'] !== undefined && storage.options['disable'] !== '0';
}

export function isShared(storage: Storage): boolean {
  return storage.options['shared'] === '1' || ['nfs', 'cifs', 'pbs', 'rbd', 'cephfs', 'iscsi'].includes(storage.type);
}

/** Without a `nodes` option a storage exists on every node. */
export function isOnNode(storage: Storage, node: string): boolean {
  const nodes = storage.options['nodes'];
  return nodes === undefined || nodes.split(/[,;\s]+/).includes(node);
}
