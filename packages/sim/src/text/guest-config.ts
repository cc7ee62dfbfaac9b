/**
 * The text of a guest config file, parsed and printed as pve-container src/PVE/LXC/Config.pm does it (parse_pct_config,
 * write_pct_config): description lines on top, keys in byte order, environment lines, raw lxc lines, then the pending
 * section and one section per snapshot. Values are kept as text; what they mean is schema.ts's business.
 */
import { createHash } from 'node:crypto';
import { decodeText, encodeText } from './code.ts';

/** One section. `values` has `description` decoded and `env` as items joined by NUL; `raw` keeps lxc.* lines in order. */
export interface GuestSection {
  readonly values: Map<string, string>;
  readonly raw: (readonly [key: string, value: string])[];
}

export interface GuestConfig extends GuestSection {
  readonly pending: GuestSection;
  readonly snapshots: Map<string, GuestSection>;
  /** SHA-1 of the file's bytes, lower-case hex. */
  digest: string;
}

export function emptySection(): GuestSection {
  return { values: new Map(), raw: [] };
}

export function emptyConfig(): GuestConfig {
  return {
    ...emptySection(),
    pending: emptySection(),
    snapshots: new Map(),
    digest: createHash('sha1').update('').digest('hex'),
  };
}

export interface ConfigSyntax {
  /** The value as stored, or throws with the reason; unknown keys throw "unknown setting 'key'". */
  readonly checkValue: (key: string, value: string) => string;
  /** true, or the reason why the raw key is dropped ('' = unknown). */
  readonly checkRawKey: (key: string) => true | string;
}

export interface ParsedConfig {
  readonly config: GuestConfig;
  /** One line per part of the file that was left out. */
  readonly warnings: readonly string[];
}

/** Lenient, as the tools read: what cannot be understood is warned about and left out. */
export function parseConfig(text: string, vmid: number, syntax: ConfigSyntax): ParsedConfig {
  const config = emptyConfig();
  config.digest = createHash('sha1').update(text).digest('hex');
  const warnings: string[] = [];
  let section: GuestSection = config;
  let description = '';
  const closeSection = (): void => {
    if (description !== '') section.values.set('description', description);
    description = '';
  };
  for (const line of text.split('\n')) {
    if (/^\s*$/.test(line)) continue;
    const name = /^\[(pve:pending|[a-z][a-z0-9_-]+)\]\s*$/i.exec(line)?.[1];
    if (name !== undefined) {
      closeSection();
      section = name.toLowerCase() === 'pve:pending' ? config.pending : emptySection();
      if (section !== config.pending) config.snapshots.set(name, section);
      continue;
    }
    if (line.startsWith('#')) description += `${decodeText(line.slice(1))}\n`;
    else if (/^description:\s*\S/.test(line)) description += decodeText(line.replace(/^description:\s*/, '').trimEnd());
    else readLine(line, section, { vmid, isPending: section === config.pending, syntax, warnings });
  }
  closeSection();
  config.values.delete('snapstate');
  return { config, warnings };
}

interface LineContext {
  readonly vmid: number;
  readonly isPending: boolean;
  readonly syntax: ConfigSyntax;
  readonly warnings: string[];
}

function readLine(line: string, section: GuestSection, at: LineContext): void {
  const raw = /^(lxc\.[a-z0-9_\-.]+)(?::|\s*=)\s*(.*?)\s*$/.exec(line);
  if (raw?.[1] !== undefined) {
    readRaw([raw[1], raw[2] ?? ''], line, { section, at });
    return;
  }
  const state = /snapstate:\s*(prepare|delete)\s*$/.exec(line)?.[1];
  if (state !== undefined) return void section.values.set('snapstate', state);
  const removed = /^delete:\s*(.*\S)\s*$/.exec(line)?.[1];
  if (removed === undefined) readPlain(line, section, at);
  else if (at.isPending) section.values.set('delete', removed);
  else at.warnings.push(`vm ${at.vmid} - property 'delete' is only allowed in [pve:pending]`);
}

function readPlain(line: string, section: GuestSection, at: LineContext): void {
  const [, key, value] = /^([a-z][a-z_]*\d*):\s*(.+?)\s*$/.exec(line) ?? [];
  if (key === undefined || value === undefined) {
    at.warnings.push(`vm ${at.vmid} - unable to parse config: ${line}`);
    return;
  }
  try {
    section.values.set(key, at.syntax.checkValue(key, value));
  } catch (err) {
    // Upstream warns and keeps the value as it stands, even under a key it does not know.
    at.warnings.push(
      `vm ${at.vmid} - unable to parse value of '${key}' - ${err instanceof Error ? err.message : String(err)}`,
    );
    section.values.set(key, value);
  }
}

function readRaw([key, value]: [string, string], line: string, to: { section: GuestSection; at: LineContext }): void {
  const { section, at } = to;
  if (key === 'lxc.environment.runtime') {
    const before = section.values.get('env');
    section.values.set('env', before === undefined ? value : `${before}\0${value}`);
    return;
  }
  const verdict = at.syntax.checkRawKey(key);
  if (verdict === true) section.raw.push([key, value]);
  else
    at.warnings.push(
      verdict === '' ? `vm ${at.vmid} - unable to parse config: ${line}` : `vm ${at.vmid} - ${key}: ${verdict}`,
    );
}

export function printConfig(config: GuestConfig): string {
  let text = printSection(config);
  if (config.pending.values.size > 0) text += `\n[pve:pending]\n${printSection(config.pending)}`;
  for (const name of [...config.snapshots.keys()].sort()) {
    const section = config.snapshots.get(name);
    if (section !== undefined) text += `\n[${name}]\n${printSection(section)}`;
  }
  return text;
}

function printSection(section: GuestSection): string {
  const description = section.values.get('description') ?? '';
  const comment = description === '' ? [] : description.replace(/\n+$/, '').split('\n');
  let text = comment.map((line) => `#${encodeText(line)}\n`).join('');
  for (const key of [...section.values.keys()].sort()) {
    if (key !== 'description' && key !== 'env') text += `${key}: ${section.values.get(key) ?? ''}\n`;
  }
  const env = section.values.get('env');
  if (env !== undefined)
    text += env
      .split('\0')
      .filter((item) => item !== '')
      .map((item) => `lxc.environment.runtime: ${item}\n`)
      .join('');
  return text + section.raw.map(([key, value]) => `${key}: ${value}\n`).join('');
}
