/** Programs over state that a newer release wrote, and a controller killed while it brings an older database up to date. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openDatabase } from '../../packages/controller/src/store/open.ts';
import { TEST_LIMIT_MS, TestFleet } from '../e2e/fleet.ts';
import { treeOf } from '../e2e/traces.ts';

vi.setConfig({ testTimeout: TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played', faulty: ['controller'] });
});
afterAll(async () => {
  await fleet.stop();
});

const database = (): string => join(fleet.controller.stateDir, 'controller.db');

/** All files below a folder, by content; locks and logs of what runs beside are left out. */
function contentOf(folder: string): string {
  const tree = [...treeOf(folder, [/^\/(?:lock|nats|controller\.sock)/, /-shm$/], /./)].sort();
  return createHash('sha256').update(JSON.stringify(tree)).digest('hex');
}

async function refusal(program: 'agent' | 'controller'): Promise<string> {
  const node = fleet.node('pve2');
  if (program === 'agent') return await node.startAnother();
  await expect(fleet.controller.start()).rejects.toThrow('the controller ended');
  return readFileSync(join(fleet.dir.logs, 'controller.log'), 'utf8');
}

describe('an older', () => {
  it('agent does not start over the state of a newer one, and changes nothing', async () => {
    const node = fleet.node('pve2');
    await node.stop();
    const format = join(node.stateDir, 'format');
    const own = readFileSync(format, 'utf8');
    writeFileSync(format, '999\n');
    const before = contentOf(node.stateDir);
    expect(await refusal('agent')).toMatch(/PXM_STATE_NEWER.*999/);
    expect(contentOf(node.stateDir)).toBe(before);
    writeFileSync(format, own);
    await node.start();
  });

  it('controller does not start over the database of a newer one, and changes nothing', async () => {
    await fleet.controller.stop();
    const own = readFileSync(database());
    edit("INSERT INTO migration VALUES (9999, 'future', 'x', 0)");
    const before = contentOf(fleet.controller.stateDir);
    expect(await refusal('controller')).toMatch(/PXM_DATABASE_CORRUPT.*newer release/);
    expect(contentOf(fleet.controller.stateDir)).toBe(before);
    writeFileSync(database(), own);
    await fleet.controller.start();
  });
});

describe('a controller that is killed while it brings an older database up to date', () => {
  it.each(['before', 'after'] as const)('%s the commit completes it at the next start', async (when) => {
    await fleet.controller.stop();
    edit('ALTER TABLE token DROP COLUMN used_key; DELETE FROM migration WHERE number = 5');
    fleet.faults('controller').set({ at: 'commit', nth: 1, tables: '^migration$', when });
    await expect(fleet.controller.start()).rejects.toThrow('the controller ended');
    expect(fleet.faults('controller').hasStruck).toBe(true);
    await fleet.controller.start();
    await fleet.node('pve2').waitUp();
    await fleet.cli.text(['node', 'token', 'create']);
  });
});

/** The controller is down. */
function edit(sql: string): void {
  const opened = openDatabase(database());
  opened.sql.exec(sql);
  opened.close();
}
