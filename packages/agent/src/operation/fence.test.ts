import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Order } from '@pxmgr/contract/common';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Fence } from './fence.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pxmgr-fence-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function order(fencingToken: bigint, planGeneration = 1n): Order {
  return { idempotencyKey: '', planId: '', planGeneration, fencingToken, actor: '', dryRun: false };
}

it('refuses what a newer order has overtaken, per resource, also after a restart', async () => {
  const path = join(directory, 'fence.json');
  const fence = new Fence(path, 'pve1');
  await fence.check('vmid:101', order(5n));
  await fence.check('vmid:101', order(5n));
  await fence.check('vmid:102', order(4n));
  await fence.check('vmid:101', order(5n, 2n));
  const restarted = new Fence(path, 'pve1');
  await expect(restarted.check('vmid:101', order(4n, 9n))).rejects.toMatchObject({ code: 'PXM_GENERATION_OLD' });
  await expect(restarted.check('vmid:101', order(5n, 1n))).rejects.toMatchObject({ code: 'PXM_GENERATION_OLD' });
  await restarted.check('vmid:101', order(6n, 1n));
  await restarted.check('vmid:101', order(0n));
  await restarted.check('vmid:101', undefined);
});

it('remembers nothing that no disk has', async () => {
  const path = join(directory, 'fence.json');
  const fence = new Fence(path, 'pve1');
  await fence.check('vmid:101', order(5n));
  await rm(directory, { recursive: true });
  for (let tries = 0; tries < 2; tries += 1) await expect(fence.check('vmid:101', order(6n))).rejects.toThrow('ENOENT');
  await mkdir(directory);
  await Promise.all([fence.check('vmid:101', order(6n)), fence.check('vmid:102', order(7n))]);
  const restarted = new Fence(path, 'pve1');
  await expect(restarted.check('vmid:101', order(5n))).rejects.toMatchObject({ code: 'PXM_GENERATION_OLD' });
  await expect(restarted.check('vmid:102', order(6n))).rejects.toMatchObject({ code: 'PXM_GENERATION_OLD' });
});

it.each(['', '\0\0\0\0', '{"vmid:101":{"token"', '[]'])(
  'puts a damaged file aside and takes orders: %j',
  async (text) => {
    const path = join(directory, 'fence.json');
    await writeFile(path, text);
    const told: string[] = [];
    const fence = new Fence(path, 'pve1', (where) => told.push(where));
    await fence.check('vmid:101', order(5n));
    await expect(fence.check('vmid:101', order(4n))).rejects.toMatchObject({ code: 'PXM_GENERATION_OLD' });
    expect(told).toEqual([`${path}.damaged`]);
    expect(await readFile(`${path}.damaged`, 'utf8')).toBe(text);
  },
);
