/** What people type and write, what the programs say to each other, and what is drawn on a terminal. */

import { parseCommandLine as parseAgentLine } from '@pxmgr/agent/command-line';
import { parseLine } from '@pxmgr/agent/operation/journal';
import { calm } from '@pxmgr/cli/client';
import { COMMANDS, NOUNS } from '@pxmgr/cli/commands/all';
import { parseInvocation } from '@pxmgr/cli/program';
import { renderError } from '@pxmgr/cli/render/error';
import { renderTable } from '@pxmgr/cli/render/table';
import { createTheme } from '@pxmgr/cli/render/theme';
import { parseCards, parseDevices } from '@pxmgr/cli/spec/device-flags';
import { parseEnvironment } from '@pxmgr/cli/spec/environment-flag';
import { parseGpu } from '@pxmgr/cli/spec/gpu-flag';
import { parseLimit } from '@pxmgr/cli/spec/limit-flag';
import { parseMoment } from '@pxmgr/cli/spec/moment-flag';
import { parseMount } from '@pxmgr/cli/spec/mount-flag';
import { parseNetwork } from '@pxmgr/cli/spec/network-flag';
import { Problems } from '@pxmgr/cli/spec/problems';
import { parseReadiness } from '@pxmgr/cli/spec/readiness-flag';
import { hasControlCharacters } from '@pxmgr/contract';
import { HostCommand } from '@pxmgr/contract/common';
import { parseCommandLine as parseControllerLine } from '@pxmgr/controller/command-line';
import { readInventoryMessage } from '@pxmgr/controller/inventory/message';
import { parseYaml } from '@pxmgr/kit/config/yaml-file';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { displayCommand, quoteWord, toHostCommand } from '@pxmgr/kit/exec/command';
import { stripControl, stripControlInLines } from '@pxmgr/kit/log/redact';
import { splitAddress } from '@pxmgr/kit/rpc/address';
import { alternativeUris, identityUri, parseIdentityUri } from '@pxmgr/kit/rpc/identity';
import fc from 'fast-check';
import { expect } from 'vitest';
import { hostile, near, nearLines } from './hostile.ts';
import { type Row, row, textRow } from './row.ts';

const THEME = createTheme({ plain: true, color: false });
const PROGRAM = { name: 'pxmgr', summary: '', version: '0', commands: COMMANDS, nouns: NOUNS, width: 80 };
const WORDS = [
  ...COMMANDS.flatMap((one) => one.path.split(' ')),
  '--node',
  '--yes',
  '-o',
  'json',
  '--env',
  'A=1',
  '--',
  '--gpu',
  '-y',
];

/** Something that a terminal would obey, left in what is shown. */
function expectCalm(text: string): void {
  expect(stripControlInLines(text), JSON.stringify(text)).toBe(text);
}

/** A flag of the command line: a value or problems, never both missing. */
// eslint-disable-next-line @typescript-eslint/max-params -- reads as a line of a table
function flagRow(
  of: string,
  input: fc.Arbitrary<string>,
  take: (text: string, problems: Problems) => unknown,
  holds: (value: never) => unknown,
): Row {
  return textRow(of, input, (text) => {
    const problems = new Problems();
    const value = take(text, problems);
    if (problems.size === 0 && value !== undefined) holds(value as never);
  });
}

export const PROGRAM_ROWS: readonly Row[] = [
  textRow(['parseDevices', 'parseCards'], near('1-4.2', '/dev/dri/renderD128', '0000:01:00.0'), (text) => {
    for (const wanted of [
      (problems: Problems) => parseDevices({ usb: [text], path: [] }, problems),
      (problems: Problems) => parseDevices({ usb: [], path: [text] }, problems),
      (problems: Problems) => parseCards([text], problems),
    ]) {
      const problems = new Problems();
      const devices = wanted(problems);
      if (problems.size > 0) continue;
      expect(devices.filter(({ path, deviceId }) => hasControlCharacters(path + deviceId))).toEqual([]);
    }
  }),
  textRow('parseLine', near('{"kind":"state","at":1}', 'null', '[]', '{"a":'), (text) => {
    expect(['object', 'undefined']).toContain(typeof parseLine(text));
  }),
  flagRow(
    'parseMount',
    near('/tank/media:/media:ro', 'tank/data:/data', '8GiB:/var/lib/x', '//://'),
    parseMount,
    (mount: { target: string; source?: { $case: string; value: unknown } }) => {
      expect(mount.target).toMatch(/^\/[^,]/);
      expect(hasControlCharacters(mount.target)).toBe(false);
      if (mount.source?.$case === 'bind') expect(mount.source.value).toMatch(/^\/[^,]*$/);
    },
  ),
  flagRow(
    'parseNetwork',
    near('bridge=vmbr0,ip=192.0.2.5/24,gw=192.0.2.1,vlan=20', 'bridge=vmbr0,ip6=2001:db8::1/64,mac=02:00:00:00:00:01'),
    (text, problems) => parseNetwork(text, 0, problems),
    (net: object) => {
      for (const value of Object.values(net))
        if (typeof value === 'string') expect(value).toMatch(/^[A-Za-z0-9:./_%-]*$/);
    },
  ),
  flagRow(
    'parseGpu',
    near('amd,vram=8GiB,exclusive', '0000:01:00.0', 'count=2', 'any'),
    parseGpu,
    (gpu: { vendor: string; count: number; vramBytes: bigint }) => {
      expect(['', 'amd', 'intel', 'nvidia']).toContain(gpu.vendor);
      expect(gpu.count).toBeGreaterThan(0);
      expect(gpu.vramBytes >= 0n).toBe(true);
    },
  ),
  flagRow(
    'parseReadiness',
    near('http:8080/health', 'tcp:80', 'none', 'running'),
    (text, problems) => parseReadiness(text, undefined, problems),
    (probe: { port: number; path: string }) => {
      expect(probe.port).toBeLessThan(65_536);
      expect(hasControlCharacters(probe.path), JSON.stringify(probe.path)).toBe(false);
    },
  ),
  flagRow(
    'parseEnvironment',
    near('A=1', 'PATH-', 'LONG_NAME=x y'),
    (text, problems) => parseEnvironment([text], [], problems),
    (list: { name: string; value: string }[]) => {
      for (const { name, value } of list) {
        expect(name).toMatch(/^[A-Za-z_][A-Za-z0-9_]*$/);
        expect(hasControlCharacters(value)).toBe(false);
      }
    },
  ),
  flagRow('parseLimit', near('50', '1000', '0'), parseLimit, (limit: number) => {
    expect(Number.isInteger(limit) && limit > 0).toBe(true);
  }),
  flagRow(
    'parseMoment',
    near('2h', '2026-11-20T08:00:00Z', '99999999d', '2026-13-40'),
    (text, problems) => parseMoment(['since', text], new Date(0), problems),
    (at: Date) => {
      expect(Number.isNaN(at.getTime())).toBe(false);
    },
  ),
  row(
    'parseInvocation',
    fc.array(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...WORDS) }, hostile), { maxLength: 6 }),
    (argv) => {
      const found = parseInvocation(PROGRAM, argv);
      if (found.kind !== 'command') return;
      // What became an argument or a value was in argv; nothing is invented, and no option came out of a value.
      for (const word of found.input.args) expect(argv).toContain(word);
    },
    { runs: 300 },
  ),
  row(
    ['parseCommandLine', 'parseDaemonLine'],
    fc.array(
      fc.oneof(
        fc.constantFrom('run', 'join', 'config', 'check', '--config', '--listen', '--force', '--help', '-h'),
        hostile,
      ),
      { maxLength: 5 },
    ),
    (argv) => {
      for (const parse of [parseAgentLine, parseControllerLine]) {
        try {
          const { command } = parse(argv);
          expect(command.name).toMatch(/^[a-z]+$/);
        } catch (error) {
          expect(error).toMatchObject({ code: 'PXM_USAGE' });
        }
      }
    },
  ),
  row(
    'parseYaml',
    nearLines(
      'listen: 0.0.0.0:7443',
      'advertise: [a, b]',
      'a: &x [*x]',
      '? [1]',
      '- 1',
      '"k": |',
      '  text',
      '<<: {a: 1}',
      '!!js/function x',
    ),
    (text) => {
      for (const { where } of parseYaml(text, 'file.yaml').problems) expect(where).toMatch(/^file\.yaml:\d+$/);
    },
    { runs: 3000 },
  ),
  textRow('parseIdentityUri', near('pxmgr:operator:anna:viewer', 'pxmgr:agent:n-abc', 'pxmgr:controller'), (text) => {
    const identity = parseIdentityUri(text);
    if (identity !== undefined) expect(identityUri(identity)).toBe(text);
  }),
  textRow(
    'alternativeUris',
    near('URI:pxmgr:agent:n-a, DNS:pve1.test, IP Address:192.0.2.1', 'DNS:"x, URI:pxmgr:controller"'),
    (text) => void alternativeUris(text),
    { mayThrow: ['SyntaxError'] },
  ),
  textRow('splitAddress', near('[::1]:7450', 'pve1.example:7450', '192.0.2.1:1'), (text) => {
    const { host, port } = splitAddress(text);
    expect(host).not.toBe('');
    expect(Number.isInteger(port)).toBe(true);
  }),
  row(
    'readInventoryMessage',
    fc.tuple(near('px.inv.n-abcdefghijklmnop.vm.MTAw'), fc.uint8Array({ maxLength: 60 })),
    ([subject, bytes]) => {
      expect(typeof readInventoryMessage(subject, bytes, new Date(0)).ok).toBe('boolean');
    },
  ),
  row(['displayCommand', 'toHostCommand'], fc.array(hostile, { minLength: 1, maxLength: 5 }), (words) => {
    const command = { file: 'pct', args: words, purpose: 'fuzz', timeoutMs: 1000 };
    expectCalm(displayCommand(command));
    toHostCommand(command);
  }),
  row('calm', fc.record({ a: hostile, b: fc.array(hostile), c: fc.record({ d: hostile }) }), (answer) => {
    const { a, b, c } = calm(answer);
    for (const text of [a, ...b, c.d]) expectCalm(text);
  }),
  row(['quoteWord', 'renderHostCommand'], fc.array(hostile, { maxLength: 5 }), (words) => {
    expectCalm(words.map(quoteWord).join(' '));
  }),
  row(
    'renderTable',
    fc.array(fc.array(hostile, { minLength: 2, maxLength: 2 }), { maxLength: 3 }),
    (rows) => {
      const columns = [
        { head: 'A', value: ([a = '']: string[]) => calm(a), shrink: 1 },
        { head: 'B', value: ([, b = '']: string[]) => calm(b) },
      ];
      const lines = renderTable(rows, columns, { width: 40, wide: false, head: (text) => text });
      // A value cannot make a line of its own, nor tell the terminal anything.
      expect(lines).toHaveLength(rows.length + 1);
      for (const line of lines) expectCalm(line);
      expect(lines.filter((line) => line.includes('\n'))).toEqual([]);
    },
    { runs: 3000 },
  ),
  textRow('renderError', hostile, (text) => {
    const error = new PxmError('PXM_GUEST_NOT_FOUND', { guest: text, where: '' }, { cause: new Error(text) });
    for (const line of renderError(error, THEME)) expectCalm(line);
  }),
  textRow('stripControl', hostile, (text) => {
    const calm = stripControl(text);
    expect(stripControl(calm)).toBe(calm);
    expect(calm).not.toMatch(/[\n\r\u001b\u0000]/);
  }),
  row('HostCommand', fc.uint8Array({ maxLength: 40 }), (bytes) => {
    // The decoder may refuse; it must not run away.
    try {
      HostCommand.decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
    }
  }),
];
