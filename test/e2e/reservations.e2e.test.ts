/** 16 people place at once with the real tool while the real controller is killed with SIGKILL; then everything is added up. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { waitFor } from '../../deploy/stand/wait.ts';
import { errorCode, type OperationView, TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';

vi.setConfig({ testTimeout: 3 * TEST_LIMIT_MS, hookTimeout: TEST_LIMIT_MS });

const CLIENTS = 16;
const NODES = ['pve1', 'pve2', 'pve3'];
const EACH_GIB = 8;
/** What fits beside the host itself: 32, 64 and 16 GiB. */
const ROOM: Readonly<Record<string, number>> = { pve1: 3, pve2: 7, pve3: 1 };
/** Killed before it answered, or no node with room. */
const REFUSALS = new Set([
  'PXM_PLACEMENT_INFEASIBLE',
  'PXM_CONTROLLER_UNREACHABLE',
  'PXM_SHUTTING_DOWN',
  'PXM_NODE_DOWN',
]);

interface Listed {
  readonly vmid: number;
  readonly name: string;
  readonly node: string;
}

let fleet: TestFleet;
let image: string;

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: NODES, runtime: 'played' });
  image = await fleet.image('web');
});
afterAll(async () => {
  await fleet.stop();
});

/** Ends with the code of the refusal; empty when its answer came. */
async function place(name: string): Promise<string> {
  const result = await fleet.cli.run([
    ...['container', 'create', image, '--name', name, '--memory', `${EACH_GIB}GiB`],
    ...['--rootfs', '1GiB', '--detach'],
  ]);
  return result.exitCode === 0 ? '' : errorCode(result) || `exit ${result.exitCode}: ${result.stderr}`;
}

/** As the hosts themselves say it, not the controller. */
async function onHosts(): Promise<Listed[]> {
  const lists = await Promise.all(
    fleet.nodes.map(async (node) => {
      const lines = (await node.tool('pct', 'list')).trim().split('\n').slice(1);
      return lines.map((line) => {
        const words = line.trim().split(/\s+/);
        return { vmid: Number(words[0]), name: words.at(-1) ?? '', node: node.name };
      });
    }),
  );
  return lists.flat();
}

async function operationsEnded(): Promise<OperationView[]> {
  return await waitFor('every operation has ended', WAIT_LIMIT_MS, async () => {
    const all = await fleet.cli.json<OperationView[]>(['operation', 'list', '--limit', '500']);
    return all.every(({ state }) => ['done', 'failed', 'cancelled'].includes(state)) ? all : undefined;
  });
}

describe('16 clients and a controller that is killed', () => {
  it.each([
    { seed: 1, kills: [2, 9] },
    { seed: 2, kills: [0, 5, 12] },
    { seed: 3, kills: [7] },
  ])(
    'round $seed, killed after $kills answers: no node is over its size, no vmid is given twice',
    async ({ seed, kills }) => {
      const before = new Set(
        (await fleet.cli.json<OperationView[]>(['operation', 'list', '--limit', '500'])).map(({ id }) => id),
      );
      let answers = 0;
      const clients = Array.from({ length: CLIENTS }, async (_, index) => {
        const code = await place(`r${seed}-${index}`);
        answers += 1;
        return code;
      });
      for (const after of kills) {
        await waitFor(`${after} answers`, WAIT_LIMIT_MS, () => (answers >= after ? true : undefined));
        await fleet.controller.kill();
        await fleet.controller.start();
      }
      const codes = await Promise.all(clients);
      expect(codes.filter((code) => code !== '' && !REFUSALS.has(code))).toEqual([]);
      for (const node of fleet.nodes) await node.waitUp();
      // Some had no answer: they ask once more, as people do.
      const silent = codes.flatMap((code, index) => (code === '' ? [] : [index]));
      const again = await Promise.all(silent.map((index) => place(`r${seed}-${index}b`)));
      expect(again.filter((code) => code !== '' && code !== 'PXM_PLACEMENT_INFEASIBLE')).toEqual([]);
      const operations = (await operationsEnded()).filter(({ id }) => !before.has(id));
      const guests = await onHosts();
      expect(new Set(guests.map(({ vmid }) => vmid)).size).toBe(guests.length);
      for (const [node, most] of Object.entries(ROOM))
        expect(guests.filter((guest) => guest.node === node).length, node).toBeLessThanOrEqual(most);
      expect(guests.map(({ vmid }) => vmid).sort()).toEqual(
        operations
          .filter(({ state }) => state === 'done')
          .map(({ vmid }) => vmid)
          .sort(),
      );
      // Drafts whose client died with the controller are promises until their time is over; all others have ended.
      const open = await fleet.cli.json<{ planId: string; vmid: number }[]>(['reservation', 'list']);
      expect(open.filter(({ vmid }) => guests.some((guest) => guest.vmid === vmid))).toEqual([]);
      expect(guests.length).toBeGreaterThan(0);
      for (const { vmid } of guests) await fleet.cli.text(['container', 'destroy', String(vmid), '--yes']);
      expect(await onHosts()).toEqual([]);
    },
  );
});
