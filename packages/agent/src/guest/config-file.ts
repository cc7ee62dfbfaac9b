/**
 * guest/: containers and VMs of this node. This file reads and writes a guest's configuration exactly as Proxmox
 * does (proxmox/pve-container src/PVE/LXC/Config.pm parse_pct_config, write_pct_config): description lines, sorted
 * keys, `lxc.environment.runtime` lines, raw `lxc.*` lines, then the sections. Printing what was parsed from a file
 * that Proxmox wrote gives the same bytes. Pure: no files here.
 * The room may call host, image, device, zfs and operation; it never speaks to the network.
 */

/** One section of a configuration. */
export interface ConfigSection {
  /** Decoded text without the final line feed; empty when there is none. */
  description: string;
  entries: Map<string, string>;
  /** The `env` option: `lxc.environment.runtime: NAME=value`, in order. */
  env: [name: string, value: string][];
  /** Other `lxc.*` lines, in order; a key may come several times. */
  raw: [key: string, value: string][];
}

export interface GuestConfig extends ConfigSection {
  /** `[pve:pending]`; its key `delete` is a comma list. */
  pending: ConfigSection;
  /** By snapshot name. */
  snapshots: Map<string, ConfigSection>;
}

const PENDING = 'pve:pending';
const ENV_KEY = 'lxc.environment.runtime';

export function emptySection(): ConfigSection {
  return { description: '', entries: new Map(), env: [], raw: [] };
}

/** Percent-decoding of `#` lines; a broken escape stays as it is. */
function decodeText(text: string): string {
  const bytes: number[] = [];
  const source = Buffer.from(text, 'utf8').toString('latin1');
  for (let i = 0; i < source.length; i += 1) {
    const hex = source.slice(i + 1, i + 3);
    if (source.charAt(i) === '%' && /^[0-9A-Fa-f]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else {
      bytes.push(source.charCodeAt(i));
    }
  }
  return Buffer.from(bytes).toString('utf8');
}

/** `%`, `:`, control and non-ASCII bytes (proxmox/pve-common src/PVE/Tools.pm encode_text). */
function encodeText(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map((byte) => {
      const isSafe = byte >= 0x20 && byte <= 0x7e && byte !== 0x25 && byte !== 0x3a;
      return isSafe ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

/** Splits at the first "="; an item without one is a name with an empty value. */
export function splitEnv(item: string): [name: string, value: string] {
  const equals = item.indexOf('=');
  return equals < 0 ? [item, ''] : [item.slice(0, equals), item.slice(equals + 1)];
}

/** The colon form is what Proxmox writes; both are read for raw lines. */
const RAW_LINE = /^(lxc\.[a-z0-9_.-]+)(?::|[ \t]*=)[ \t]*(.*?)[ \t\r\f\v]*$/s;
/** ASCII blanks only: a value may end in what Unicode calls a space, and must not lose it when we write the file. */
const ENTRY_LINE = /^([a-z][a-z_]*[0-9]*):[ \t]*(.*?)[ \t\r\f\v]*$/s;

function readRaw(section: ConfigSection, key: string, value: string): void {
  if (key === ENV_KEY) section.env.push(splitEnv(value));
  else section.raw.push([key, value]);
}

function readLine(section: ConfigSection, descriptions: string[], line: string): void {
  if (line.startsWith('#')) {
    descriptions.push(decodeText(line.slice(1)));
    return;
  }
  const [, rawKey, rawValue = ''] = RAW_LINE.exec(line) ?? [];
  if (rawKey !== undefined) {
    readRaw(section, rawKey, rawValue);
    return;
  }
  const [, key, value = ''] = ENTRY_LINE.exec(line) ?? [];
  if (key === undefined || value === '') return;
  if (key === 'description') descriptions.push(decodeText(value));
  else section.entries.set(key, value);
}

function readSection(lines: readonly string[]): ConfigSection {
  const section = emptySection();
  const descriptions: string[] = [];
  for (const line of lines) readLine(section, descriptions, line);
  section.description = descriptions.join('\n');
  return section;
}

/**
 * Never fails: lines that are no configuration are dropped, as Proxmox drops them at its next write. An empty or
 * half-written file gives an empty configuration. Reads `qemu-server` files too; their `special:` sections are left out.
 */
export function parseGuestConfig(text: string): GuestConfig {
  const parts = new Map<string, string[]>([['', []]]);
  let current = parts.get('') ?? [];
  for (const line of text.split('\n')) {
    const head = /^\[([^\]]+)\]\s*$/.exec(line);
    if (head === null) {
      current.push(line);
      continue;
    }
    current = [];
    parts.set(head[1] ?? '', current);
  }
  const config: GuestConfig = { ...readSection(parts.get('') ?? []), pending: emptySection(), snapshots: new Map() };
  for (const [name, lines] of parts) {
    if (name.toLowerCase() === PENDING) config.pending = readSection(lines);
    else if (name !== '' && !name.includes(':')) config.snapshots.set(name, readSection(lines));
  }
  return config;
}

function hasContent(section: ConfigSection): boolean {
  return section.entries.size + section.env.length + section.raw.length > 0;
}

/** Line feeds would become keys of their own: refused here, whoever the caller is. */
function line(key: string, value: string): string {
  if (/[\n\r\0]/.test(value)) throw new Error(`line break or NUL inside the value of ${key}`);
  return `${key}: ${value}\n`;
}

function printSection(section: ConfigSection): string {
  const description = section.description === '' ? [] : section.description.split('\n');
  return [
    ...description.map((text) => `#${encodeText(text)}\n`),
    ...[...section.entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => line(key, value)),
    ...section.env.map(([name, value]) => line(ENV_KEY, `${name}=${value}`)),
    ...section.raw.map(([key, value]) => line(key, value)),
  ].join('');
}

/** The text Proxmox would write. Throws a plain error when a value holds a line break. */
export function printGuestConfig(config: GuestConfig): string {
  const pending = hasContent(config.pending) ? `\n[${PENDING}]\n${printSection(config.pending)}` : '';
  const snapshots = [...config.snapshots]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, section]) => `\n[${name}]\n${printSection(section)}`);
  return printSection(config) + pending + snapshots.join('');
}

const GUEST_UID_PREFIX = 'PXMGR_GUEST=';
/** Raw key that carries pxmgr's uid: no option write of Proxmox touches it, and the guest does not see it. */
export const GUEST_UID_KEY = 'lxc.environment.hooks';

/** pxmgr's uid of the guest; undefined for a guest it did not make. */
export function guestUidOf(config: ConfigSection): string | undefined {
  const values = config.raw.filter(([key]) => key === GUEST_UID_KEY).map(([, value]) => value);
  return values.find((value) => value.startsWith(GUEST_UID_PREFIX))?.slice(GUEST_UID_PREFIX.length);
}

/** The raw line for a uid. */
export function guestUidLine(uid: string): [key: string, value: string] {
  return [GUEST_UID_KEY, `${GUEST_UID_PREFIX}${uid}`];
}

/**
 * Nothing of a guest, at most a lock: `pct create` begins with that, `pct destroy` ends with it (proxmox/pve-container
 * src/PVE/API2/LXC.pm), and unlocked it is what we leave when we are killed before our own `pct destroy` of it.
 */
export function isStub({ entries, env, raw, pending, snapshots }: GuestConfig): boolean {
  const isBare = env.length + raw.length + pending.entries.size + snapshots.size === 0;
  return isBare && [...entries].every(([key, value]) => key === 'lock' && STUB_LOCKS.has(value));
}

const STUB_LOCKS: ReadonlySet<string> = new Set(['create', 'destroyed']);
