/**
 * Golden screens of every command: 80 columns without colour, 160 with, and the form for programs.
 * A changed screen is looked at as text and taken over with `npx vitest run test/cli -u`.
 */
import { COMMANDS } from '@pxmgr/cli/commands/all';
import { cellWidth } from '@pxmgr/cli/render/width';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FakeController, startFakeController } from './fake-controller.ts';
import { pageOf, type RunOptions, runCli, type Screen } from './screen.ts';
import { OP_DONE, OP_FAILED } from './work-data.ts';

let controller: FakeController;
beforeAll(async () => {
  controller = await startFakeController();
});
afterAll(async () => await controller.stop());

const IMAGE = 'registry.example.org/shop/web:1.27';

async function run(argv: readonly string[], options: RunOptions = {}): Promise<Screen> {
  return await runCli(argv, { ...options, env: { PXMGR_CONTROLLER: controller.address, ...options.env } });
}

interface Case {
  readonly command: string;
  readonly argv: readonly string[];
  readonly options?: RunOptions;
  /** Forms for programs where there are some. */
  readonly formats?: readonly string[];
}

const LIST = ['wide', 'json', 'yaml', 'ndjson', 'name'];
const DETAIL = ['json', 'name'];
/** The socket of the test lies in a folder of its own, which is no matter for a golden screen. */
const FIXED = { env: { PXMGR_CONTROLLER: 'unix:/run/pxmgr/controller.sock' } };

const CASES: readonly Case[] = [
  { command: 'status', argv: [], formats: DETAIL },
  { command: 'node list', argv: [], formats: LIST },
  { command: 'node get', argv: ['pve1'], formats: DETAIL },
  { command: 'node join', argv: ['--node', 'pve4', '--ttl', '1h'], formats: DETAIL },
  { command: 'node token create', argv: [], formats: DETAIL },
  { command: 'node leave', argv: ['pve2'], options: { answer: 'y' } },
  { command: 'container list', argv: [], formats: LIST },
  { command: 'container get', argv: ['web'], formats: DETAIL },
  { command: 'container create', argv: [IMAGE, '--name', 'web'], formats: DETAIL },
  { command: 'run', argv: [IMAGE, '--show-commands'], formats: DETAIL },
  {
    command: 'container clone',
    argv: ['web', 'web-2', '--snapshot', 'nightly', '--vmid', '200', '--storage', 'local-zfs', '--full', '--dry-run'],
    formats: DETAIL,
  },
  { command: 'container start', argv: ['web'] },
  { command: 'container shutdown', argv: ['web', '--dry-run', '--show-commands'], formats: DETAIL },
  { command: 'container stop', argv: ['web', '--detach'], formats: DETAIL },
  { command: 'container destroy', argv: ['web'], options: { answer: 'y' } },
  { command: 'container exec', argv: ['web', '-e', 'A=1', '--', 'cat', '-n'], options: { stdin: 'in\n' } },
  {
    command: 'container set',
    argv: ['web', '--memory', '1GiB', '--swap', '0', '--cores', 'all', '--onboot', 'no', '--tags', 'b,a', '--dry-run'],
  },
  { command: 'container snapshot list', argv: ['web'], formats: LIST },
  { command: 'container snapshot create', argv: ['web', 'again', '--dry-run', '--show-commands'], formats: DETAIL },
  { command: 'container snapshot rollback', argv: ['web', 'nightly', '--start'], options: { answer: 'y' } },
  { command: 'container snapshot destroy', argv: ['web', 'nightly'], options: { answer: 'y' } },
  { command: 'image list', argv: ['--templates'], formats: LIST },
  { command: 'image pull', argv: [IMAGE, '--node', 'pve1', '--dry-run'] },
  { command: 'image inspect', argv: [IMAGE], formats: DETAIL },
  { command: 'device list', argv: [], formats: LIST },
  { command: 'device attach', argv: ['web', '--gpu', 'amd,exclusive', '--usb', '1-4', '--dry-run'] },
  { command: 'device detach', argv: ['web', '--gpu', '0000:01:00.0', '--path', '/dev/kfd', '--detach'] },
  { command: 'storage list', argv: [], formats: LIST },
  { command: 'dataset list', argv: [], formats: LIST },
  { command: 'place explain', argv: [IMAGE, '--gpu', 'amd'], formats: DETAIL },
  { command: 'change list', argv: [], formats: LIST },
  { command: 'change show', argv: ['42'], formats: DETAIL },
  { command: 'reservation list', argv: ['--all'], formats: LIST },
  { command: 'operation list', argv: [], formats: LIST },
  { command: 'operation get', argv: [OP_DONE], formats: DETAIL },
  { command: 'operation watch', argv: [OP_DONE, '--show-commands'] },
  { command: 'operation cancel', argv: [OP_DONE] },
  { command: 'operator list', argv: ['--all'], formats: LIST },
  { command: 'operator create', argv: ['../bob', '--role', 'viewer'] },
  { command: 'operator revoke', argv: ['ann'], options: { answer: 'y' } },
  { command: 'audit list', argv: [], formats: LIST },
  { command: 'selftest', argv: [], formats: DETAIL },
  { command: 'config show', argv: [], options: FIXED, formats: ['json', 'name'] },
  { command: 'config check', argv: [], options: FIXED },
  { command: 'config example', argv: [] },
  { command: 'completion', argv: ['bash'] },
  { command: 'complete', argv: ['--', 'container', 'get', ''] },
  { command: 'version', argv: ['-o', 'name'] },
];

/** Where a list has its rows as JSON: the envelope, or bare lines. */
function checkShape(format: string, stdout: string): void {
  if (format === 'json') {
    const envelope = JSON.parse(stdout) as Record<string, unknown>;
    expect(envelope['apiVersion']).toBe('pxmgr/v1');
    expect(envelope['kind']).toMatch(/^[A-Z][A-Za-z]+$/);
    expect(Object.hasOwn(envelope, 'items') || Object.hasOwn(envelope, 'item')).toBe(true);
  }
  if (format === 'ndjson') for (const line of stdout.trim().split('\n')) expect(JSON.parse(line)).toBeTypeOf('object');
}

describe('screens', () => {
  it('are there for every command', () => {
    expect([...new Set(CASES.map((one) => one.command))].sort()).toEqual(COMMANDS.map((one) => one.path).sort());
  });

  it.each(CASES)('$command', async ({ command, argv, options, formats }) => {
    const words = [...command.split(' '), ...argv];
    const title = words.map((word) => (word === '' ? "''" : word)).join(' ');
    const plain = await run(words, { ...options, width: 80, env: { ...options?.env, NO_COLOR: '1' } });
    const wide = await run(words, { ...options, width: 160 });
    const pages = [pageOf(`${title}  # 80 columns, no colour`, plain), pageOf(`${title}  # 160 columns`, wide)];
    const tooWide = plain.stdout.split('\n').filter((line) => cellWidth(line) > 80);
    if (formats?.includes('wide') === true) expect(tooWide, 'lines of the table at 80 columns').toEqual([]);
    for (const format of formats ?? []) {
      const screen = await run([...words, '-o', format], options);
      checkShape(format, screen.stdout);
      pages.push(pageOf(`${title} -o ${format}`, screen));
    }
    await expect(pages.join('\n')).toMatchFileSnapshot(`golden/${command.replaceAll(' ', '-')}.txt`);
  });

  it('of help pages', async () => {
    const pages: string[] = [];
    for (const words of [
      [],
      ['container'],
      ['container', 'snapshot'],
      ['node', 'token'],
      ['run'],
      ['container', 'exec'],
    ]) {
      const screen = await run([...words, '--help'], { width: 80, env: { NO_COLOR: '1' } });
      pages.push(pageOf([...words, '--help'].join(' '), screen));
    }
    await expect(pages.join('\n')).toMatchFileSnapshot('golden/help.txt');
  });
});

const REFUSALS: readonly (readonly [readonly string[], RunOptions?])[] = [
  [['frobnicate']],
  [['container', 'lst']],
  [['container', 'list', '--nod', 'x']],
  [['container', 'list', 'extra']],
  [['container', 'get']],
  [['container', 'snapshot', 'create']],
  [['container', 'snapshot', 'create', 'web']],
  [['storage', 'list', '--node', 'pve9']],
  [['container', 'exec', 'web', 'ls', '-la']],
  [['status', '-o', 'xml']],
  [['status', '--config']],
  [['status', '--config', '/nowhere/cli.yaml']],
  [['container', 'get', 'nope']],
  [['container', 'list', '--node', 'pve9']],
  [['container', 'destroy', 'web']],
  [['container', 'destroy', 'web'], { answer: 'n' }],
  [['container', 'snapshot', 'create', 'web', '1st']],
  [['container', 'snapshot', 'rollback', 'web', 'nightly']],
  [['container', 'set', 'web']],
  [['container', 'set', 'web', '--memory', 'much', '--cores', '0', '--hostname', '-', '--tags', 'a,-b']],
  [['device', 'attach', 'web']],
  [['device', 'attach', 'web', '--usb', 'coral', '--path', 'dri/card0', '--gpu', 'fast']],
  [['node', 'leave', 'pve1']],
  [['operator', 'revoke', 'nobody']],
  [['operator', 'revoke', 'ann']],
  [['operator', 'create', 'ann', '--role', 'king']],
  [['audit', 'list', '--since', 'yesterday']],
  [['operation', 'get', 'op-1']],
  [['operation', 'watch', OP_FAILED]],
  [['operation', 'list', '--limit', 'many']],
  [['change', 'show', '0']],
  [['change', 'list', '--since', 'yesterday', '--limit', '0', '--kind', 'thing']],
  [['completion', 'tcsh']],
  [['place', 'explain', 'ev-1']],
  [['run', IMAGE, '--name', 'huge', '--memory', '2TiB']],
  [['run', IMAGE, '--name', 'huge', '-o', 'json']],
  [['run', 'BAD', '--cores', '1.5', '--memory', '1', '--net', 'x=1', '--mount', 'a', '--env-from', '/nowhere/env']],
  [['status'], { env: { PXMGR_CONTROLLER: 'unix:/nowhere/socket' } }],
  [['status'], { env: { PXMGR_CONTROLLER: 'unix:/nowhere/socket', PXMGR_OUTPUT: 'json' } }],
  [['status'], { env: { PXMGR_CONTROLLER: '192.0.2.1:7443' } }],
  [['status'], { env: { PXMGR_CONTROLLER: 'somewhere', PXMGR_OUTPUT: 'xml' } }],
];

describe('refusals', () => {
  it('name the place, the reason and what to do', async () => {
    const pages: string[] = [];
    for (const [argv, options] of REFUSALS) {
      const screen = await run(argv, options);
      expect(screen.exit, argv.join(' ')).not.toBe(0);
      pages.push(pageOf(argv.join(' '), screen));
    }
    await expect(pages.join('\n')).toMatchFileSnapshot('golden/refusals.txt');
  });

  it('change nothing', async () => {
    controller.calls();
    for (const [argv, options] of REFUSALS) await run(argv, options);
    const mutating = /ApplyPlan|RevokeNode|CreateToken|ExecGuest|CreateOperator|RevokeOperator/;
    expect(controller.calls().filter((call) => mutating.test(call))).toEqual([]);
  });
});
