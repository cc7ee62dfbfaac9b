/** Signals at moments that nobody chose: kills, stops and standstills of every process that takes part in a run. */
import { waitFor } from '../../deploy/stand/wait.ts';
import { TestFleet, WAIT_LIMIT_MS } from '../e2e/fleet.ts';
import {
  agentScratch,
  differences,
  guestLocks,
  hostTree,
  mountsBelow,
  processesOf,
  runningTasks,
} from '../e2e/traces.ts';

const TARGETS = ['agent', 'controller', 'nats-server', 'pct', 'worker'] as const;
const BLOWS = ['SIGKILL', 'SIGTERM', 'SIGSTOP'] as const;
const DEEDS = ['run', 'destroy'] as const;

export type Target = (typeof TARGETS)[number];

export interface Blow {
  readonly deed: (typeof DEEDS)[number];
  readonly target: Target;
  /** After SIGSTOP the process goes on a moment later. */
  readonly signal: (typeof BLOWS)[number];
  /** How often is looked at the fleet before it falls. */
  readonly looks: number;
}

/** A look takes 25 ms and longer on a slow machine: as long as the work itself. */
const LOOKS_MAX = 80;
const STANDSTILL_LOOKS = 40;

export function anyBlow(random: () => number): Blow {
  const of = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  return { deed: of(DEEDS), target: of(TARGETS), signal: of(BLOWS), looks: Math.floor(random() * LOOKS_MAX) };
}

export class Arena {
  readonly #fleet: TestFleet;
  readonly #image: string;
  readonly #untouched: ReadonlyMap<string, string>;

  private constructor(fleet: TestFleet, image: string) {
    this.#fleet = fleet;
    this.#image = image;
    this.#untouched = hostTree(fleet.node('pve2'));
  }

  static async open(): Promise<Arena> {
    const fleet = await TestFleet.start({ nodes: ['pve2'], runtime: 'played' });
    const image = await fleet.image('web');
    await fleet.cli.text(['run', image, '--name', 'victim']);
    await fleet.cli.text(['container', 'destroy', 'victim', '--force', '--yes']);
    return new Arena(fleet, image);
  }

  async close(): Promise<void> {
    await this.#fleet.stop();
  }

  /** What is wrong when everybody is back and the work has ended; empty when nothing is. */
  async take({ deed, target, signal, looks }: Blow): Promise<string[]> {
    const { cli } = this.#fleet;
    if (deed === 'destroy') await cli.text(['run', this.#image, '--name', 'victim']);
    const order = deed === 'run' ? ['run', this.#image, '--name', 'victim'] : DESTROY;
    const asked = cli.run([...order, '--detach']);
    await pass(looks);
    for (const pid of this.#pidsOf(target)) await strike(pid, signal);
    await asked;
    if (signal !== 'SIGSTOP') await this.#ended(target);
    await this.#revive();
    return await this.#problems();
  }

  #pidsOf(target: Target): number[] {
    const { controller } = this.#fleet;
    const node = this.#fleet.node('pve2');
    if (target === 'agent') return [node.pid];
    if (target === 'controller') return [controller.pid];
    if (target === 'nats-server')
      return processesOf(controller.stateDir)
        .filter(({ argv }) => argv[0]?.includes('nats-server'))
        .map(({ pid }) => pid);
    // The front end runs the host's program, the worker of its task is a child of it.
    const tools = processesOf(node.host.root).filter(({ argv }) => argv.includes('tool') && argv.includes('pct'));
    const chosen = target === 'pct' ? tools.slice(0, 1) : tools.slice(-1);
    return chosen.map(({ pid }) => pid);
  }

  /** Asked to stop a daemon takes its time. */
  async #ended(target: Target): Promise<void> {
    if (target !== 'agent' && target !== 'controller') return;
    const daemon = target === 'agent' ? this.#fleet.node('pve2') : this.#fleet.controller;
    await waitFor(`the ${target} has ended`, WAIT_LIMIT_MS, () => (daemon.isAlive ? undefined : true));
  }

  async #revive(): Promise<void> {
    const { controller } = this.#fleet;
    const node = this.#fleet.node('pve2');
    if (!controller.isAlive) await controller.start();
    if (!node.isAlive) node.startOnly();
    await node.waitUp();
  }

  async #problems(): Promise<string[]> {
    const fleet = this.#fleet;
    for (const { id } of await fleet.cli.json<{ id: string }[]>(['operation', 'list', '--active'])) {
      const { state } = await fleet.ended(id);
      if (!['done', 'failed'].includes(state)) return [`operation ${id} is ${state}`];
    }
    const guests = await fleet.containers();
    const half = guests
      .filter(({ config }) => config['lock'] !== undefined)
      .map(({ vmid }) => `guest ${vmid} is locked`);
    if (guests.length > 0) await fleet.cli.text(DESTROY);
    const left = async (): Promise<string[]> => [...half, ...(await this.#left())];
    const isClean = async (): Promise<true | undefined> => ((await left()).length === 0 ? true : undefined);
    return await waitFor('nothing is left', WAIT_LIMIT_MS, isClean).then(() => [], left);
  }

  async #left(): Promise<string[]> {
    const node = this.#fleet.node('pve2');
    return [
      ...differences(this.#untouched, hostTree(node)),
      ...mountsBelow(node.host.root).map((line) => `mount: ${line}`),
      ...guestLocks(node).map((line) => `lock: ${line}`),
      ...runningTasks(node).map((line) => `task: ${line}`),
      ...agentScratch(node).map((path) => `scratch: ${path}`),
      ...processesOf(`${node.host.root}/bin/`).map(({ argv }) => `process: ${argv.join(' ')}`),
      ...(await this.#fleet.activeReservations()).map((one) => `reservation: ${JSON.stringify(one)}`),
    ];
  }
}

const DESTROY = ['container', 'destroy', 'victim', '--force', '--yes'];

/** A moment that is no state of anything. */
async function pass(looks: number): Promise<void> {
  let seen = 0;
  await waitFor('a moment', WAIT_LIMIT_MS, () => {
    seen += 1;
    return seen > looks ? true : undefined;
  });
}

async function strike(pid: number, signal: Blow['signal']): Promise<void> {
  try {
    process.kill(pid, signal);
    if (signal !== 'SIGSTOP') return;
    await pass(STANDSTILL_LOOKS);
    process.kill(pid, 'SIGCONT');
  } catch (error) {
    // Ended meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
