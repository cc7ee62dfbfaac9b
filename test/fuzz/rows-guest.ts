/** What is in a guest's configuration: the file, property strings, environment, entrypoint. */

import { type GuestConfig, parseGuestConfig, printGuestConfig, splitEnv } from '@pxmgr/agent/guest/config-file';
import { checkCloneRequest } from '@pxmgr/agent/guest/create/clone-plan';
import { encodeEntrypoint } from '@pxmgr/agent/guest/create/entrypoint';
import { applyEnv, mergeEnv, mergeValue } from '@pxmgr/agent/guest/env-merge';
import { cloneCommand } from '@pxmgr/agent/guest/pct-args';
import { propertyString } from '@pxmgr/agent/guest/property';
import { parsePropertyString, printPropertyString } from '@pxmgr/agent/guest/property-string';
import { containerDocument } from '@pxmgr/agent/inventory/container-document';
import { vmDocument } from '@pxmgr/agent/inventory/vm-document';
import { hasControlCharacters } from '@pxmgr/contract';
import { ContainerDocument, VmDocument } from '@pxmgr/contract/common';
import { entryWords } from '@pxmgr/sim/lxc/entry-words';
import fc from 'fast-check';
import { expect } from 'vitest';
import { hostile, near, nearLines } from './hostile.ts';
import { expectSound, type Row, row, textRow } from './row.ts';

const CONFIG = [
  '#note%3A one',
  'arch: amd64',
  'cores: 2',
  'hostname: web',
  'mp0: local-zfs:subvol-101-disk-1,mp=/data,size=8G',
  'net0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=dhcp,type=veth',
  'lxc.environment.runtime: PATH=/bin',
  'lxc.idmap: u 0 100000 65536',
  '',
  '[pve:pending]',
  'memory: 1024',
  '[before]',
  'snaptime: 1700000000',
];
const KEYS = ['memory', 'cores', 'sockets', 'mp0', 'mp10', 'net0', 'dev0', 'hostname', 'tags', 'unused3', 'snaptime'];

/** Text that a configuration value can have: one line, no blanks at its ends. */
const value = hostile
  .map((text) => text.replace(/[\n\r\0]/g, '').replace(/^[ \t\r\f\v]+|[ \t\r\f\v]+$/g, ''))
  .filter((text) => text !== '');
const number = fc.bigInt({ min: -(10n ** 12n), max: 10n ** 30n }).map(String);
const section = fc.record({
  description: hostile.map((text) => text.replace(/\0/g, '')),
  entries: fc.array(fc.tuple(fc.constantFrom(...KEYS), fc.oneof(value, number))).map((pairs) => new Map(pairs)),
  env: fc.array(fc.tuple(fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/), value), { maxLength: 4 }),
  raw: fc.array(fc.tuple(fc.constantFrom('lxc.idmap', 'lxc.hook.pre-start', 'lxc.cgroup2.devices.allow'), value), {
    maxLength: 3,
  }),
});
const guestConfig = fc
  .tuple(section, section, fc.array(fc.tuple(fc.stringMatching(/^[a-z][a-z0-9_-]{1,8}$/), section), { maxLength: 2 }))
  .map(
    ([main, pending, snapshots]): GuestConfig => ({
      ...main,
      pending: { ...pending, description: '' },
      snapshots: new Map(snapshots),
    }),
  );

const cloneWish = fc.record({
  vmid: fc.constantFrom(102, 99),
  guestUid: fc.constant('0123456789abcdef'.repeat(2)),
  name: near('web', 'web-2'),
  source: fc.record({ vmid: fc.constantFrom(101, 102), guestUid: fc.constant(''), snapshot: near('', 'before') }),
  storage: near('', 'local-zfs'),
  full: fc.boolean(),
});

const envList = fc.array(fc.tuple(fc.constantFrom<string[]>('PATH', 'HOME', 'A', 'B', '__proto__'), hostile), {
  maxLength: 5,
});

export const GUEST_ROWS: readonly Row[] = [
  textRow('parseGuestConfig', nearLines(...CONFIG), (text) => {
    // What was read can be written, and says the same again.
    const once = parseGuestConfig(text);
    const printed = printedOrRefused(once);
    if (printed !== undefined) expect(printGuestConfig(parseGuestConfig(printed))).toBe(printed);
  }),
  // A guest that could not be told would hide all others of its node.
  row(['containerDocument', 'vmDocument'], guestConfig, (config) => {
    const guest = { vmid: 101, config, isRunning: true, addresses: [] };
    const mask = (value: string) => value;
    const container = containerDocument({ ...guest, kind: 'container' }, { mask, originOf: () => undefined });
    ContainerDocument.encode(container).finish();
    VmDocument.encode(vmDocument({ ...guest, kind: 'vm' }, mask)).finish();
  }),
  row(
    ['parseGuestConfig', 'printGuestConfig'],
    guestConfig,
    (config) => {
      const text = printGuestConfig(config);
      for (const line of text.split('\n')) expect(line).toMatch(/^(?:#|\[|$|[a-z][a-z_]*[0-9]*: |lxc\.[a-z0-9_.-]+: )/);
      const again = parseGuestConfig(text);
      expect(printGuestConfig(again)).toBe(text);
      expect(again.entries).toEqual(config.entries);
      expect([again.env, again.raw]).toEqual([config.env, config.raw]);
    },
    { runs: 2000 },
  ),
  row('cloneCommand', cloneWish, (wish) => {
    try {
      checkCloneRequest(wish);
    } catch {
      return;
    }
    const { vmid, name: hostname, full, storage, source } = wish;
    const place = { hostname, full, storage, snapshot: source.snapshot };
    const command = cloneCommand({ vmid, source: source.vmid, ...place, description: 'op-1' });
    const isOption = (word: string): boolean => /^--(?:hostname|full|snapname|storage|description)$/.test(word);
    expectSound(command, { isOption });
    expect(command.args.slice(3).filter((word, index) => index % 2 === 0 && !isOption(word))).toEqual([]);
  }),
  textRow('splitEnv', near('A=b', 'A=b=c', '=x'), (text) => {
    const [name, rest] = splitEnv(text);
    expect(text === name || text === `${name}=${rest}`).toBe(true);
  }),
  textRow(
    ['parsePropertyString', 'printPropertyString'],
    near('volume=local:8,mp=/data,ro=1', 'local:8,mp=/x', 'name=eth0,bridge=vmbr0'),
    (text) => {
      const once = parsePropertyString(text, 'volume');
      const printed = printPropertyString(once, 'volume');
      expect(parsePropertyString(printed, 'volume')).toEqual(once);
    },
  ),
  row(
    'propertyString',
    fc.array(fc.tuple(fc.constantFrom('mp', 'volume', 'ip', 'name'), fc.oneof(hostile, fc.boolean(), fc.nat())), {
      maxLength: 4,
    }),
    (items) => {
      const text = propertyString(items);
      expect(hasControlCharacters(text)).toBe(false);
      // No value becomes an item of its own.
      expect(text === '' ? 0 : text.split(',').length).toBe(items.length);
    },
  ),
  row(['mergeEnv', 'applyEnv', 'mergeValue'], fc.tuple(envList, envList, envList), ([base, current, next]) => {
    const merged = mergeEnv({ base, current, next });
    expect(new Set(merged.map(([name]) => name)).size).toBe(merged.length);
    const names = new Set([...current, ...next].map(([name]) => name));
    for (const [name] of merged) expect(names.has(name)).toBe(true);
    // A new image that is the old one changes nothing that a person did.
    expect(new Map(mergeEnv({ base, current, next: base }))).toEqual(new Map(current));
    const wishes = next.map(([name, text]) => ({ name, value: text, remove: text === '' }));
    for (const { name, value: text, remove } of wishes.slice(-1)) {
      const found = new Map<string, string>(applyEnv(base, wishes, '/root'));
      expect(found.get(name)).toBe(remove ? undefined : text);
    }
    expect(mergeValue(base, base, next)).toBe(next);
  }),
  row('encodeEntrypoint', fc.tuple(fc.array(hostile, { maxLength: 5 }), fc.boolean()), ([argv, hasShell]) => {
    const encoded = encodeEntrypoint(argv, hasShell);
    if (!encoded.ok) return;
    expect(hasControlCharacters(encoded.value)).toBe(false);
    const words = entryWords(encoded.value);
    // By LXC's rules the same words come out, or one script whose words sh puts together again.
    if (words[0] === '/bin/sh' && words[1] === '-c' && argv[0] !== '/bin/sh')
      expect(shellWords(words[2] ?? '')).toEqual(['exec', ...argv]);
    else expect(words).toEqual(argv);
  }),
];

function printedOrRefused(config: GuestConfig): string | undefined {
  try {
    return printGuestConfig(config);
  } catch (error) {
    // Its contract: a value with a line break is refused. A carriage return in a file is such a value.
    expect(String(error)).toMatch(/line break or NUL inside/);
    return undefined;
  }
}

/** The words of the scripts that the encoder makes: single quotes, backslash quote, and printf for a double quote. */
function shellWords(script: string): string[] {
  const words: string[] = [];
  for (const raw of splitBlanks(script)) {
    words.push(
      raw
        .replaceAll("$(printf '\\042')", '\u0001')
        .replace(/'([^']*)'|\\'/g, (whole: string, inside: string | undefined) =>
          whole === "\\'" ? "'" : (inside ?? ''),
        )
        .replaceAll('\u0001', '"'),
    );
  }
  return words;
}

/** At blanks that stand in no quotes; blanks inside `$(printf '\042')` do not count. */
function splitBlanks(script: string): string[] {
  const marked = script.replaceAll("$(printf '\\042')", '\u0002');
  const words: string[] = [''];
  let isQuoted = false;
  for (let at = 0; at < marked.length; at += 1) {
    const character = marked.charAt(at);
    const isEscaped = !isQuoted && character === '\\';
    if (isEscaped) {
      words.push(`${words.pop() ?? ''}${character}${marked.charAt(at + 1)}`);
      at += 1;
    } else if (character === ' ' && !isQuoted) words.push('');
    else {
      if (character === "'") isQuoted = !isQuoted;
      words.push(`${words.pop() ?? ''}${character}`);
    }
  }
  return words.map((word) => word.replaceAll('\u0002', "$(printf '\\042')"));
}
