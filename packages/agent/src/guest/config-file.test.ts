import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixture } from '../host/fixture-file.fixture.ts';
import type { ConfigSection, GuestConfig } from './config-file.ts';
import { emptySection, guestUidLine, guestUidOf, parseGuestConfig, printGuestConfig } from './config-file.ts';

type Upstream = Record<string, unknown> & {
  pending?: Record<string, unknown>;
  snapshots?: Record<string, Upstream>;
  lxc?: [string, string][];
};

/** The same shape as upstream's parser gives, numbers as text. */
function asUpstream(section: ConfigSection): Record<string, unknown> {
  return {
    ...Object.fromEntries(section.entries),
    ...(section.description === '' ? {} : { description: `${section.description}\n` }),
    ...(section.env.length === 0 ? {} : { env: section.env.map(([name, value]) => `${name}=${value}`).join('\0') }),
    ...(section.raw.length === 0 ? {} : { lxc: section.raw }),
  };
}

function asText(values: Record<string, unknown>): Record<string, unknown> {
  const { digest: _digest, pending: _pending, snapshots: _snapshots, ...rest } = values;
  return Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [key, typeof value === 'number' ? String(value) : value]),
  );
}

describe('guest configuration', () => {
  it.each([101, 105, 110, 9000])('%i: parsed as Proxmox does, printed back to the same bytes', (vmid) => {
    const text = fixture(`pve-container-6.1/${vmid}.conf`);
    const upstream = JSON.parse(fixture(`pve-container-6.1/${vmid}.parsed.json`)) as Upstream;
    const config = parseGuestConfig(text);
    expect(asUpstream(config)).toEqual(asText(upstream));
    expect(asUpstream(config.pending)).toEqual(asText(upstream.pending ?? {}));
    expect([...config.snapshots.keys()]).toEqual(Object.keys(upstream.snapshots ?? {}));
    for (const [name, section] of config.snapshots)
      expect(asUpstream(section)).toEqual(asText(upstream.snapshots![name]!));
    expect(printGuestConfig(config)).toBe(text);
  });

  it('prints what it parses, whatever is in it', () => {
    const value = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .map((text) => text.replace(/[\n\r\0]/g, ''))
      .filter((text) => text !== '' && !/^[ \t]|[ \t\f\v]$/.test(text));
    const entries = fc.uniqueArray(
      fc.tuple(
        fc.stringMatching(/^[a-z][a-z_]{0,8}[0-9]{0,3}$/).filter((key) => key !== 'description'),
        value,
      ),
      { selector: ([key]) => key },
    );
    const section = fc.record({
      description: fc
        .array(fc.string({ unit: 'grapheme' }).map((text) => text.replace(/\n/g, '')))
        .map((lines) => lines.join('\n'))
        .filter((text) => !text.endsWith('\n') && text.split('\n').length >= 1),
      entries: entries.map((pairs) => new Map(pairs)),
      env: fc.array(fc.tuple(fc.stringMatching(/^[A-Z_]{1,6}$/), value)),
      raw: fc.array(
        fc.tuple(
          fc.stringMatching(/^lxc\.[a-z0-9_.-]{1,9}$/).filter((key) => key !== 'lxc.environment.runtime'),
          value,
        ),
      ),
    });
    const snapshots = fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_-]{1,9}$/), section), {
      selector: ([name]) => name,
    });
    fc.assert(
      fc.property(section, section, snapshots, (main, pending, named) => {
        const isEmpty = pending.entries.size + pending.env.length + pending.raw.length === 0;
        const sorted = (one: ConfigSection): ConfigSection => ({
          ...one,
          entries: new Map([...one.entries].sort(([a], [b]) => (a < b ? -1 : 1))),
        });
        const config: GuestConfig = {
          ...sorted(main),
          pending: isEmpty ? emptySection() : sorted(pending),
          snapshots: new Map(
            named.map(([name, one]) => [name, sorted(one)] as const).sort(([a], [b]) => (a < b ? -1 : 1)),
          ),
        };
        expect(parseGuestConfig(printGuestConfig(config))).toEqual(config);
      }),
      { numRuns: 300 },
    );
  });

  it('escapes the description as Proxmox does', () => {
    const config = parseGuestConfig('#Owner%3A ops 100%25 %C3%A9\n#second\narch: amd64\n');
    expect(config.description).toBe('Owner: ops 100% é\nsecond');
    expect(printGuestConfig(config)).toBe('#Owner%3A ops 100%25 %C3%A9\n#second\narch: amd64\n');
    expect(parseGuestConfig('#broken %zz escape\n').description).toBe('broken %zz escape');
  });

  it('refuses a line break that would become a key of its own', () => {
    const config = parseGuestConfig('arch: amd64\n');
    config.env.push(['A', 'x\nlxc.hook.pre-start: /bin/evil']);
    expect(() => printGuestConfig(config)).toThrow(/line break/);
  });

  it('reads empty, half-written and foreign files', () => {
    expect(parseGuestConfig('')).toEqual({ ...emptySection(), pending: emptySection(), snapshots: new Map() });
    expect(parseGuestConfig('lock: create\nrootf').entries).toEqual(new Map([['lock', 'create']]));
    const vm = parseGuestConfig(
      '#note\nmemory: 2048\nscsi0: local-lvm:vm-200-disk-0,size=32G\n\n[special:cloudinit]\nx: 1\n\n[snap1]\nmemory: 1024\n',
    );
    expect([...vm.snapshots.keys()]).toEqual(['snap1']);
    expect(vm.entries.get('scsi0')).toBe('local-lvm:vm-200-disk-0,size=32G');
  });

  it('reads raw lines with an equals sign too', () => {
    expect(parseGuestConfig('lxc.idmap = u 0 100000 65536\n').raw).toEqual([['lxc.idmap', 'u 0 100000 65536']]);
  });

  it('finds our uid beside hooks of others', () => {
    const config = parseGuestConfig('lxc.environment.hooks: OTHER=1\n');
    expect(guestUidOf(config)).toBeUndefined();
    config.raw.push(guestUidLine('0123456789abcdef0123456789abcdef'));
    expect(guestUidOf(parseGuestConfig(printGuestConfig(config)))).toBe('0123456789abcdef0123456789abcdef');
  });
});
