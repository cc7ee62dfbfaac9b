/** Disks that run full under the shipped programs: it is said what is full, nothing half-done stays, and work goes on with room. */
import { cpSync, existsSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { NodeProcess } from '../../deploy/stand/node.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { SmallDisk } from '../disk/small-disk.ts';
import { TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';
import { agentScratch } from './traces.ts';

vi.setConfig({ testTimeout: 2 * TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

const disks = {
  archives: await SmallDisk.mount(96 * 1024),
  state: await SmallDisk.mount(96 * 1024),
  bus: await SmallDisk.mount(32 * 1024),
};
const isHere = Object.values(disks).every((disk) => disk !== undefined);

let fleet: TestFleet;
let node: NodeProcess;

/** The folder, with what is in it, lies on the small disk from now on. */
function moveTo(disk: SmallDisk | undefined, folder: string): void {
  if (disk === undefined) return;
  if (existsSync(folder)) cpSync(folder, disk.path, { recursive: true });
  rmSync(folder, { recursive: true, force: true });
  symlinkSync(disk.path, folder);
}

beforeAll(async () => {
  if (!isHere) return;
  const furnish = async (one: NodeProcess): Promise<void> => {
    moveTo(disks.archives, one.host.path('/var/lib/vz/template/cache'));
    moveTo(disks.state, one.stateDir);
    await Promise.resolve();
  };
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played', furnish });
  node = fleet.node('pve2');
  await fleet.controller.stop();
  moveTo(disks.bus, join(fleet.controller.stateDir, 'nats'));
  await fleet.controller.start();
  await node.waitUp();
});
afterEach(() => {
  for (const disk of Object.values(disks)) disk?.free();
});
afterAll(async () => {
  if (isHere) await fleet.stop();
  for (const disk of Object.values(disks)) await disk?.unmount();
});

const pull = (image: string): string[] => ['image', 'pull', image, '--node', 'pve2'];

async function changedByHand(text: string): Promise<void> {
  await node.tool('pct', 'set', '100', '--description', text);
  await waitFor(`"${text}" is known`, 3 * WAIT_LIMIT_MS, async () =>
    (await fleet.container('100')).description.includes(text) ? true : undefined,
  );
}

describe.skipIf(!isHere)('a full disk', () => {
  it('under the archives of images refuses a pull by name, keeps nothing of it, and takes it with room', async () => {
    const image = await fleet.image('first');
    disks.archives?.fill(64 * 1024);
    const { code, text } = await fleet.refused(pull(image));
    expect(code, text).toBe('PXM_STORAGE_FULL');
    expect(text).toMatch(/storage local on pve2 has no room: .* to spare needed/);
    disks.archives?.free();
    expect(readdirSync(disks.archives?.path ?? '')).toEqual([]);
    expect(agentScratch(node)).toEqual([]);
    await fleet.cli.text(pull(image));
    await fleet.cli.text(['container', 'create', image, '--name', 'web', '--vmid', '100']);
  });

  it('under an agent begins nothing that needs it, by its path, and keeps no change from being told', async () => {
    const image = await fleet.image('second');
    disks.state?.fill();
    const { code, text } = await fleet.refused(pull(image));
    expect(code, text).toBe('PXM_DISK_FULL');
    expect(text).toContain(node.stateDir);
    await changedByHand('told from a full disk');
    disks.state?.free();
    expect(agentScratch(node)).toEqual([]);
    await fleet.cli.text(pull(image));
  });

  it('under the message bus is told, stops no query, and what happened meanwhile arrives', async () => {
    disks.bus?.fill();
    const told = await waitFor('the status tells it', WAIT_LIMIT_MS, async () => {
      await node.tool('pct', 'set', '100', '--description', 'x'.repeat(6000));
      const { problems = [] } = await fleet.cli.json<{ problems?: { code: string; message: string }[] }>(['status']);
      return problems.find(({ message }) => message.includes(fleet.controller.stateDir));
    });
    expect(told.code).toBe('PXM_DISK_FULL');
    expect((await fleet.container('100')).name).toBe('web');
    disks.bus?.free();
    await changedByHand('heard');
    await fleet.cli.text(['container', 'start', 'web', '--ready', 'none']);
  });
});
