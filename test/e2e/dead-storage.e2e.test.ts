/** Storages whose server is dead: whoever looks at them hangs. The rest of the node goes on, and everybody is told which they are. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setSwitches } from '@pxmgr/sim/call/switches';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { DeadFolder } from '../support/dead-folder.ts';
import { TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

/** More of them than Node.js has threads for files: one dead server has many exports. */
const EXPORTS = ['one', 'two', 'three', 'four', 'five', 'six'];
const STORAGES = [
  ...EXPORTS.map((id) => `nfs: ${id}\n\tserver 192.0.2.9\n\texport /${id}\n\tcontent vztmpl,rootdir\n`),
  // As many people write it down: a directory, although it lies on a server.
  'dir: odd\n\tpath /mnt/odd\n\tcontent vztmpl,rootdir\n',
].join('\n');

interface NodeView {
  readonly presence: string;
  readonly failures: readonly { readonly source: string; readonly problem: { readonly message: string } }[];
}

let fleet: TestFleet;
let node: NodeProcess;
const dead: DeadFolder[] = [];

async function furnish({ host }: NodeProcess): Promise<void> {
  const file = host.path('/etc/pve/storage.cfg');
  writeFileSync(file, `${readFileSync(file, 'utf8')}\n${STORAGES}`);
  setSwitches(host, { deadStorages: [...EXPORTS, 'odd'] });
  for (const path of [...EXPORTS.map((id) => `/mnt/pve/${id}`), '/mnt/odd']) {
    mkdirSync(host.path(`${path}/template/cache`), { recursive: true });
    writeFileSync(host.path(`${path}/template/cache/there.tar.gz`), 'x');
    const folder = await DeadFolder.mount(host.path(path));
    if (folder === undefined) return;
    dead.push(folder);
  }
}

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played', furnish });
  node = fleet.node('pve2');
});
afterAll(async () => {
  for (const folder of dead) await folder.unmount();
  await fleet.stop();
});

const view = async (): Promise<NodeView> => await fleet.cli.json<NodeView>(['node', 'get', 'pve2']);
const templates = async (): Promise<string> => await fleet.cli.text(['image', 'list', '--templates']);

describe('storages that do not answer', () => {
  it('are named, and the node is up with all that it has elsewhere', async (context) => {
    if (dead.length === 0) context.skip();
    const { presence, failures } = await waitFor('the node tells of them', WAIT_LIMIT_MS, async () => {
      const now = await view();
      return now.failures.length >= EXPORTS.length + 1 ? now : undefined;
    });
    expect(presence).toBe('up');
    for (const id of [...EXPORTS, 'odd']) {
      const failure = failures.find(({ source }) => source === `templates of storage ${id}`);
      expect(failure?.problem.message).toBe(`storage ${id} does not answer`);
    }
    expect(await fleet.cli.text(['node', 'get', 'pve2'])).toContain('templates of storage one');
  });

  it('keep nobody from work on others, nor from seeing what comes to others', async (context) => {
    if (dead.length === 0) context.skip();
    const image = await fleet.image('web');
    await fleet.cli.text(['container', 'create', image, '--name', 'web', '--storage', 'local-zfs']);
    await fleet.cli.text(['container', 'start', 'web', '--ready', 'none']);
    const cache = node.host.path('/var/lib/vz/template/cache');
    writeFileSync(`${cache}/new_1.tar.gz`, 'x');
    await waitFor('the new template is seen', WAIT_LIMIT_MS, async () =>
      (await templates()).includes('local:vztmpl/new_1.tar.gz') ? true : undefined,
    );
    copyFileSync(`${cache}/new_1.tar.gz`, `${cache}/newer_1.tar.gz`);
    await waitFor('the next one is seen', WAIT_LIMIT_MS, async () =>
      (await templates()).includes('local:vztmpl/newer_1.tar.gz') ? true : undefined,
    );
  });

  it('are refused by name for what needs them, before anything is made', async (context) => {
    if (dead.length === 0) context.skip();
    const image = await fleet.image('web');
    const on = await fleet.refused(['container', 'create', image, '--name', 'no', '--storage', 'odd']);
    expect(on.text).toContain('storage odd is disabled or not available');
    const words = ['container', 'create', image, '--name', 'no', '--node', 'pve2', '--mount', '/mnt/pve/one/media:/m'];
    const bind = await fleet.refused(words);
    expect(bind.code).toBe('PXM_STORAGE_SILENT');
    expect(bind.text).toContain('directory /mnt/pve/one/media does not answer');
    expect((await fleet.containers()).map(({ name }) => name)).toEqual(['web']);
    expect(await fleet.activeReservations()).toEqual([]);
  });

  it('do not keep an agent from its start', async (context) => {
    if (dead.length === 0) context.skip();
    await node.kill();
    await node.start();
    await fleet.cli.text(['container', 'stop', 'web']);
  });

  it('are there again when they answer', async (context) => {
    if (dead.length === 0) context.skip();
    setSwitches(node.host, {});
    for (const folder of dead) await folder.unmount();
    await waitFor('nothing is wrong any more', 2 * WAIT_LIMIT_MS, async () =>
      (await view()).failures.length === 0 ? true : undefined,
    );
    expect(await templates()).toContain('one:vztmpl/there.tar.gz');
  });
});
