/**
 * The properties of datasets: which exist, what they may be, how a given value is stored. Sizes are stored as bytes,
 * aliases in the form they read back as (`acltype=posixacl` reads `posix`). Source: openzfs/zfs module/zcommon/zfs_prop.c.
 */

interface PropertyRule {
  readonly kind: 'size' | 'word' | 'text' | 'path' | 'readonly';
  readonly byDefault?: string;
  readonly words?: readonly string[];
  readonly inherits?: boolean;
  readonly aliases?: Readonly<Record<string, string>>;
}

const ON_OFF = ['on', 'off'] as const;
const COMPRESSION = [
  'on',
  'off',
  'lzjb',
  'gzip',
  'gzip-[1-9]',
  'zle',
  'lz4',
  'zstd',
  'zstd-[1-19]',
  'zstd-fast',
  'zstd-fast-[1-10,20,30,40,50,60,70,80,90,100,500,1000]',
] as const;
const onOff = (byDefault: string): PropertyRule => ({ kind: 'word', byDefault, words: ON_OFF, inherits: true });
const size = (byDefault = '0'): PropertyRule => ({ kind: 'size', byDefault });
const READONLY: PropertyRule = { kind: 'readonly' };

export const NATIVE: Readonly<Record<string, PropertyRule>> = {
  name: READONLY,
  type: READONLY,
  creation: READONLY,
  used: READONLY,
  available: READONLY,
  referenced: READONLY,
  compressratio: READONLY,
  mounted: READONLY,
  origin: READONLY,
  createtxg: READONLY,
  guid: READONLY,
  written: READONLY,
  userrefs: READONLY,
  clones: READONLY,
  usedbysnapshots: READONLY,
  usedbydataset: READONLY,
  usedbychildren: READONLY,
  usedbyrefreservation: READONLY,
  logicalused: READONLY,
  logicalreferenced: READONLY,
  refcompressratio: READONLY,
  defer_destroy: READONLY,
  quota: size(),
  refquota: size(),
  reservation: size(),
  refreservation: size(),
  recordsize: { ...size('131072'), inherits: true },
  volsize: size('-'),
  volblocksize: size('16384'),
  mountpoint: { kind: 'path' },
  canmount: { kind: 'word', byDefault: 'on', words: ['on', 'off', 'noauto'] },
  compression: { kind: 'word', byDefault: 'on', words: COMPRESSION, inherits: true },
  atime: onOff('on'),
  relatime: onOff('on'),
  readonly: onOff('off'),
  exec: onOff('on'),
  setuid: onOff('on'),
  devices: onOff('on'),
  xattr: { kind: 'word', byDefault: 'on', words: ['on', 'off', 'dir', 'sa'], inherits: true, aliases: { sa: 'on' } },
  acltype: {
    kind: 'word',
    byDefault: 'off',
    words: ['off', 'nfsv4', 'posix', 'noacl', 'posixacl'],
    inherits: true,
    aliases: { posixacl: 'posix', noacl: 'off' },
  },
  sync: { kind: 'word', byDefault: 'standard', words: ['standard', 'always', 'disabled'], inherits: true },
  dedup: { kind: 'word', byDefault: 'off', words: ['on', 'off', 'verify'], inherits: true },
  primarycache: { kind: 'word', byDefault: 'all', words: ['all', 'none', 'metadata'], inherits: true },
  snapdir: { kind: 'word', byDefault: 'hidden', words: ['hidden', 'visible', 'disabled'], inherits: true },
  copies: { kind: 'word', byDefault: '1', words: ['1', '2', '3'], inherits: true },
};

const COLUMN_ALIASES: Readonly<Record<string, string>> = {
  avail: 'available',
  refer: 'referenced',
  ratio: 'compressratio',
  compress: 'compression',
  rdonly: 'readonly',
  volblock: 'volblocksize',
  recsize: 'recordsize',
  reserv: 'reservation',
  refreserv: 'refreservation',
};

export function propertyName(word: string): string {
  return COLUMN_ALIASES[word] ?? word;
}

export function isUserProperty(name: string): boolean {
  return name.includes(':');
}

export function isKnownProperty(name: string): boolean {
  return Object.hasOwn(NATIVE, name) || (isUserProperty(name) && /^[a-z0-9:_.\-]+$/.test(name));
}

/** The stored form. Throws Error with the reason as it stands after `cannot create 'X': `. */
export function storedValue(name: string, value: string): string {
  if (!isKnownProperty(name)) throw new Error(`invalid property '${name}'`);
  const rule = NATIVE[name];
  if (rule === undefined) {
    if (Buffer.byteLength(value) > 8191) throw new Error('property value too long');
    return value;
  }
  switch (rule.kind) {
    case 'readonly':
      throw new Error(`'${name}' is readonly`);
    case 'size':
      return storedSize(name, value);
    case 'path':
      if (!/^\/|^(none|legacy)$/.test(value))
        throw new Error("'mountpoint' must be an absolute path, 'none', or 'legacy'");
      return value;
    default:
      return storedWord(name, rule, value);
  }
}

function storedSize(name: string, value: string): string {
  if (value === 'none') return '0';
  const bytes = sizeBytes(value);
  if (bytes === undefined) throw new Error(`bad numeric value '${value}'`);
  if (bytes === 0 && /quota$/.test(name)) throw new Error("use 'none' to disable quota/refquota");
  return String(bytes);
}

function storedWord(name: string, rule: PropertyRule, value: string): string {
  const words = rule.words ?? [];
  if (!words.some((word) => matches(word, value)))
    throw new Error(
      `'${name}' must be one of '${words.filter((word) => rule.aliases?.[word] === undefined || word === 'sa').join(' | ')}'`,
    );
  return rule.aliases?.[value] ?? value;
}

/** `gzip-[1-9]` stands for its nine words. */
function matches(word: string, value: string): boolean {
  const range = /^(.*)\[(\d+)-(\d+)/.exec(word);
  if (range?.[1] === undefined) return word === value;
  const level = value.startsWith(range[1]) ? Number(value.slice(range[1].length)) : Number.NaN;
  return level >= Number(range[2]) && (level <= Number(range[3]) || word.includes(`,${level}`));
}

const UNITS = 'BKMGTPE';

/** `20m`, `1.5G`, `51200k`, `1048576`. */
export function sizeBytes(text: string): number | undefined {
  const parts = /^(\d+(?:\.\d+)?)(?:([bkmgtpe])(?:i?b)?)?$/i.exec(text);
  if (parts?.[1] === undefined) return undefined;
  return Math.floor(Number(parts[1]) * 1024 ** Math.max(0, UNITS.indexOf((parts[2] ?? 'B').toUpperCase())));
}

/** Five characters at most, as `zfs list` prints without -p. */
export function humanSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0 || Number.isInteger(value)) return `${value}${unit === 0 ? 'B' : UNITS.charAt(unit)}`;
  return `${value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)}${UNITS.charAt(unit)}`;
}
