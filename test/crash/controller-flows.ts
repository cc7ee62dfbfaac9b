/** What a controller writes down beside the execution of plans, and the controller killed at each of those writes. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../deploy/stand/wait.ts';
import { TestFleet, WAIT_LIMIT_MS } from '../e2e/fleet.ts';
import type { CommitFault, TraceEntry } from '../support/fault.ts';

export interface Flow {
  readonly name: string;
  /** Regular expression for the tables whose commits belong to it. */
  readonly tables: string;
  /** Ends without a controller too, and is done again when the controller was killed in it. */
  readonly act: (fleet: TestFleet, n: number) => Promise<unknown>;
  /** What is not as it should be in the end. */
  readonly wrong: (fleet: TestFleet, n: number) => Promise<string[]>;
}

/** Of a trace. */
export interface FlowPoint extends Pick<CommitFault, 'nth' | 'when'> {
  /** The tables written. */
  readonly name: string;
}

const GUEST = 'web';
/** How long a point that comes by itself is waited for. */
const REACH_MS = 15_000;

let lastFolder = 0;
function newFolder(fleet: TestFleet): string {
  lastFolder += 1;
  return fleet.dir.path('operators', String(lastFolder));
}

async function hasMemory(fleet: TestFleet, mib: number): Promise<string[]> {
  const config = async (): Promise<string> => (await fleet.container(GUEST)).config['memory'] ?? '';
  const isSeen = await waitFor('the inventory shows it', WAIT_LIMIT_MS, async () =>
    (await config()) === String(mib) ? true : undefined,
  ).catch(() => false);
  return isSeen ? [] : [`the inventory shows ${await config()} MiB of memory instead of ${mib}`];
}

/** A change is written once, however often it is told. */
async function isWrittenOnce(fleet: TestFleet, mib: number): Promise<string[]> {
  const changes = await fleet.cli.json<object[]>(['change', 'list', '--object', GUEST, '--limit', '1000']);
  const told = changes.filter((change) => JSON.stringify(change).includes(`"${mib}"`));
  // The second is the change away from it.
  return told.length === 1 ? [] : [`${told.length} changes tell of ${mib} MiB`];
}

export const FLOWS: readonly Flow[] = [
  {
    name: 'an operator comes and goes',
    tables: '^(?:operator|audit)$',
    act: async (fleet, n) => {
      await fleet.cli.text(['operator', 'create', `op${n}`, '--role', 'viewer', '--out', newFolder(fleet)]);
      await fleet.cli.text(['operator', 'revoke', `op${n}`, '--yes']);
    },
    wrong: async (fleet, n) => {
      const names = (await fleet.cli.text(['operator', 'list', '-o', 'name'])).split('\n');
      return names.includes(`op${n}`) ? [`op${n} is still let in`] : [];
    },
  },
  {
    name: 'a join token is made',
    tables: '^(?:token|audit)$',
    act: (fleet) => fleet.cli.text(['node', 'token', 'create']),
    wrong: () => Promise.resolve([]),
  },
  {
    name: 'a guest is changed',
    tables: '.',
    act: (fleet, n) => fleet.cli.text(['container', 'set', GUEST, '--memory', `${300 + n}MiB`]),
    wrong: (fleet, n) => hasMemory(fleet, 300 + n),
  },
  {
    name: 'a guest is changed by hand',
    tables: '^(?:object|change|cursor|node_position)$',
    act: async (fleet, n) => {
      const { vmid } = await knownGuest(fleet);
      await fleet.node('pve2').tool('pct', 'set', String(vmid), '--memory', String(600 + n));
    },
    wrong: async (fleet, n) => [...(await hasMemory(fleet, 600 + n)), ...(await isWrittenOnce(fleet, 600 + n))],
  },
  {
    name: 'an agent starts again and publishes everything',
    tables: '^(?:object|cursor|node_position|attended)$',
    act: async (fleet) => {
      await fleet.node('pve2').kill();
      fleet.node('pve2').startOnly();
    },
    wrong: async (fleet) => {
      const names = (await fleet.containers()).map(({ name, status }) => `${name} ${status}`);
      return names.join() === `${GUEST} running` ? [] : [`the inventory shows ${names.join()}`];
    },
  },
];

/** Asked for once: a controller that is down cannot be asked. */
const guests = new WeakMap<TestFleet, { readonly vmid: number }>();
async function knownGuest(fleet: TestFleet): Promise<{ readonly vmid: number }> {
  const known = guests.get(fleet) ?? (await fleet.container(GUEST));
  guests.set(fleet, known);
  return known;
}

export async function startFlowFleet(): Promise<TestFleet> {
  const fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played', faulty: ['controller'] });
  await fleet.cli.text(['run', await fleet.image(GUEST), '--name', GUEST]);
  return fleet;
}

/** Once without a kill: every write until it shows, before and after it. What comes by itself comes a moment later. */
export async function learnFlow(fleet: TestFleet, flow: Flow, n: number): Promise<FlowPoint[]> {
  fleet.faults('controller').trace();
  await flow.act(fleet, n);
  await fleet.node('pve2').waitUp();
  const problems = await flow.wrong(fleet, n);
  if (problems.length > 0) throw new Error(`${flow.name}: ${problems.join('; ')}`);
  const faults = fleet.faults('controller');
  const isMeant = new RegExp(flow.tables);
  const meant = (noted: readonly TraceEntry[]): TraceEntry[] =>
    noted.filter(({ entry }) => entry.split(' ').some((table) => isMeant.test(table)));
  await waitFor('it writes something', WAIT_LIMIT_MS, () => (meant(faults.noted()).length > 0 ? true : undefined));
  return meant(faults.traced()).flatMap(({ entry }, index) =>
    (['before', 'after'] as const).map((when) => ({ name: `${when} ${entry}`, nth: index + 1, when })),
  );
}

/** What is wrong after the controller died there, was started, and the same was asked again. */
export async function strikeFlow(
  fleet: TestFleet,
  flow: Flow,
  { n, point }: { n: number; point: FlowPoint },
): Promise<string[]> {
  const { nth, when, name } = point;
  fleet.faults('controller').set({ at: 'commit', nth, when, tables: flow.tables });
  await flow.act(fleet, n).catch(() => undefined);
  const hasDied = await waitFor('the controller dies', REACH_MS, () =>
    fleet.controller.isAlive ? undefined : true,
  ).catch(() => false);
  fleet.faults('controller').clear();
  if (hasDied) {
    await fleet.controller.start();
    await fleet.node('pve2').waitUp();
    for (const { id } of await fleet.cli.json<{ id: string }[]>(['operation', 'list', '--active']))
      await fleet.ended(id);
    await flow.act(fleet, n);
    await fleet.node('pve2').waitUp();
  }
  const problems = [...(await flow.wrong(fleet, n)), ...(await leftovers(fleet))];
  return problems.map((problem) => `${flow.name}, killed ${name} (${nth}): ${problem}`);
}

async function leftovers(fleet: TestFleet): Promise<string[]> {
  const { controller } = fleet;
  const folders = ['', 'pki', 'nats'].map((folder) => join(controller.stateDir, folder));
  const temporary = folders
    .flatMap((folder) => readdirSync(folder))
    .filter((name) => /\.(?:tmp|stale|new)$/.test(name));
  const rows = await fleet.cli.json<{ method: string; outcome: string }[]>(['audit', 'list', '--limit', '1000']);
  const operators = await fleet.cli.json<object[]>(['operator', 'list', '--all']);
  const made = rows.filter(({ method }) => method === 'AccessService/CreateOperator').length;
  return [
    ...(await fleet.activeReservations()).map((one) => `reservation: ${JSON.stringify(one)}`),
    ...temporary.map((name) => `temporary file: ${name}`),
    ...rows.filter(({ outcome }) => outcome === 'RUNNING').map(({ method }) => `audit: ${method} has no end`),
    ...(operators.length > made ? [`audit: ${operators.length} operators were made by ${made} calls`] : []),
  ];
}
