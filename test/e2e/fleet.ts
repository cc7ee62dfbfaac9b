/** One fleet of real processes for a test file: registry, controller with nats-server, stand-in hosts with agents. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { type FaultRule, faultsOf, setFaults } from '@pxmgr/sim/call/fault';
import type { HostSpec } from '@pxmgr/sim/host/host';
import { buildDemoImage } from '@pxmgr/sim/image.fixture';
import { furnish, HOSTS, type Runtime, runtimeHere } from '../../deploy/demo/furnish.ts';
import { ControllerProcess } from '../../deploy/stand/controller.ts';
import { type Network, NodeProcess } from '../../deploy/stand/node.ts';
import { pushImage } from '../../deploy/stand/push-image.ts';
import { Registry } from '../../deploy/stand/registry.ts';
import { bundle, StandDir } from '../../deploy/stand/stand-dir.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { Preload } from '../support/preload.ts';
import { killTools } from './traces.ts';

export interface FleetOptions {
  /** Some of pve1 (NVIDIA card), pve2 (AMD card, pool with a dataset), pve3 (Intel, USB), or of `hosts`. */
  readonly nodes: readonly string[];
  /** Instead of those of the demo and of what these have. */
  readonly hosts?: (dir: StandDir) => readonly Omit<HostSpec, 'runtime'>[];
  /** A module that Node loads before the agent of a host; its path. */
  readonly preload?: (dir: StandDir, name: string) => Promise<string>;
  /** By node; see NodeOptions. */
  readonly networks?: ReadonlyMap<string, Network>;
  /** Played containers start at once and need no rights; 'here' = really started where the machine can. */
  readonly runtime: 'played' | 'here';
  readonly agent?: Readonly<Record<string, unknown>>;
  readonly registryPassword?: string;
  readonly registryNetwork?: Network;
  /** What else a host has from the beginning. */
  readonly furnish?: (node: NodeProcess) => Promise<void>;
  /** Programs that faults are to strike. */
  readonly faulty?: readonly FaultyProgram[];
}

/** Work on a fleet takes as long as the machine is slow; only a stuck one reaches these. */
export const TEST_LIMIT_MS = 120_000;
export const WAIT_LIMIT_MS = 60_000;

export interface OperationView {
  readonly id: string;
  readonly state: string;
  readonly title: string;
  readonly vmid: number;
  readonly recovery: string;
  readonly problem?: { readonly code: string; readonly message: string };
  readonly warnings: readonly string[];
  readonly results: Readonly<Record<string, string>>;
  readonly steps: readonly { readonly title: string; readonly state: string; readonly detail: string }[];
}

export interface ContainerView {
  readonly vmid: number;
  readonly name: string;
  readonly status: string;
  readonly node: string;
  readonly guestUid: string;
  readonly description: string;
  readonly imageReference: string;
  readonly imageDigest: string;
  readonly config: Readonly<Record<string, string>>;
}

type FaultyProgram = 'agent' | 'controller';

export class TestFleet {
  readonly dir: StandDir;
  readonly runtime: Runtime;
  readonly registry: Registry;
  readonly controller: ControllerProcess;
  readonly nodes: NodeProcess[];
  /** The tokens that the nodes joined with. */
  readonly joinTokens: string[] = [];
  private readonly preloads: ReadonlyMap<FaultyProgram, Preload>;

  private constructor(parts: {
    dir: StandDir;
    runtime: Runtime;
    registry: Registry;
    controller: ControllerProcess;
    nodes: NodeProcess[];
    preloads: ReadonlyMap<FaultyProgram, Preload>;
  }) {
    this.dir = parts.dir;
    this.runtime = parts.runtime;
    this.registry = parts.registry;
    this.controller = parts.controller;
    this.nodes = parts.nodes;
    this.preloads = parts.preloads;
  }

  /**
   * Everything up, every node joined and seen. Throws with what to do when the bundles are not built; of a start that
   * fails nothing runs on, and its logs stay.
   */
  static async start(options: FleetOptions): Promise<TestFleet> {
    for (const name of ['pxmgr', 'pxmgr-agent', 'pxmgr-controller', 'pxmgr-sim'] as const) bundle(name);
    const dir = new StandDir(mkdtempSync(join(tmpdir(), 'pxmgr-e2e-')));
    mkdirSync(dir.path('images'));
    const runtime = await chooseRuntime(options.runtime);
    const registry = await Registry.start({
      dir: dir.path('registry'),
      runner: dir.runner,
      user: 'tester',
      password: options.registryPassword ?? randomBytes(12).toString('hex'),
      ...(options.registryNetwork === undefined ? {} : { network: options.registryNetwork }),
    });
    const preloads = new Map<FaultyProgram, Preload>();
    for (const program of options.faulty ?? []) preloads.set(program, await Preload.build(dir.root, program));
    const controller = await ControllerProcess.create(dir, {}, preloads.get('controller')?.module);
    const fleet = new TestFleet({ dir, runtime, registry, controller, nodes: [], preloads });
    try {
      await controller.start();
      for (const name of options.nodes) await fleet.addNode(name, options);
      for (const node of fleet.nodes) await node.waitUp();
      return fleet;
    } catch (error) {
      await fleet.halt();
      throw error;
    }
  }

  /** What the command line tool is. */
  get cli(): ControllerProcess['cli'] {
    return this.controller.cli;
  }

  /** The faults of a program that was started for them; all agents of a fleet share theirs. */
  faults(program: FaultyProgram): Preload {
    const found = this.preloads.get(program);
    if (found === undefined) throw new Error(`this fleet has no faulty ${program}`);
    return found;
  }

  node(name: string): NodeProcess {
    const found = this.nodes.find((node) => node.name === name);
    if (found === undefined) throw new Error(`this fleet has no node ${name}`);
    return found;
  }

  /** The demo's image under that name, made and pushed; the full reference. */
  async image(name: string, note = name): Promise<string> {
    const { path } = await buildDemoImage(this.dir.path('images'), { name, version: '1.0', note });
    return await this.push(path, `demo/${name}:1.0`);
  }

  async push(archive: string, name: string): Promise<string> {
    return await pushImage({ runner: this.dir.runner, registry: this.registry, archive, name });
  }

  /** A file below the fleet's folder; the path. */
  file(name: string, content: string | Uint8Array, mode = 0o600): string {
    const path = this.dir.path(name);
    writeFileSync(path, content, { mode });
    return path;
  }

  async operation(id: string): Promise<OperationView> {
    return await this.cli.json<OperationView>(['operation', 'get', id]);
  }

  /** Waits for the end of an operation, whatever it is. */
  async ended(id: string): Promise<OperationView> {
    await this.cli.run(['operation', 'watch', id, '--quiet']);
    return await this.operation(id);
  }

  /** Begins it, kills the agent when a tool of its node is at the point, and waits for the end. */
  async killedAt(node: NodeProcess, fault: FaultRule, words: readonly string[]): Promise<OperationView> {
    setFaults(node.host, [fault]);
    const id = (await this.cli.text([...words, '--detach', '-o', 'name'])).trim();
    await waitFor('the tool reaches the point', WAIT_LIMIT_MS, () =>
      faultsOf(node.host).some(({ done }) => (done ?? 0) > 0) ? true : undefined,
    );
    await node.kill();
    if (fault.do === 'hang') killTools(node);
    await node.start();
    return await this.ended(id);
  }

  async container(key: string): Promise<ContainerView> {
    return await this.cli.json<ContainerView>(['container', 'get', key]);
  }

  async containers(): Promise<ContainerView[]> {
    return await this.cli.json<ContainerView[]>(['container', 'list']);
  }

  async activeReservations(): Promise<unknown[]> {
    return await this.cli.json<unknown[]>(['reservation', 'list']);
  }

  /** A command that must be refused: the code it names and its exit status. */
  async refused(args: readonly string[]): Promise<{ code: string; exit: number | null; text: string }> {
    const result = await this.cli.run(args);
    return { code: errorCode(result), exit: result.exitCode, text: `${result.stdout}${result.stderr}` };
  }

  /** Everything down and away. */
  async stop(): Promise<void> {
    await this.halt();
    rmSync(this.dir.root, { recursive: true, force: true });
  }

  private async halt(): Promise<void> {
    const stops: (() => Promise<unknown>)[] = [
      ...this.nodes.map((node) => () => node.powerOff()),
      () => this.controller.stop(),
      () => this.registry.stop(),
    ];
    // What one of them cannot stop must not keep the others.
    for (const stop of stops) await stop().catch(() => undefined);
  }

  private async addNode(name: string, options: FleetOptions): Promise<void> {
    const hosts = options.hosts?.(this.dir) ?? HOSTS;
    const spec = hosts.find((host) => host.name === name);
    if (spec === undefined) throw new Error(`${name} is none of ${hosts.map((host) => host.name).join(', ')}`);
    const network = options.networks?.get(name);
    const preload = (await options.preload?.(this.dir, name)) ?? this.preloads.get('agent')?.module;
    const node = await NodeProcess.create({
      dir: this.dir,
      controller: this.controller,
      host: { ...spec, runtime: this.runtime.kind },
      agent: {
        insecure_registries: [this.registry.address],
        registry_auth_file: this.registry.authFile,
        ...options.agent,
      },
      ...(preload === undefined ? {} : { preload }),
      ...(network === undefined ? {} : { network }),
    });
    this.nodes.push(node);
    if (options.hosts === undefined) await furnish(node);
    await options.furnish?.(node);
    const token = (await this.cli.text(['node', 'token', 'create', '--node', name])).trim();
    this.joinTokens.push(token);
    await node.join(token);
    node.startOnly();
  }
}

let isTold = false;

async function chooseRuntime(wanted: FleetOptions['runtime']): Promise<Runtime> {
  if (wanted === 'played') return { kind: 'played', reason: 'the test does not need real ones' };
  const runtime = await runtimeHere();
  if (runtime.kind === 'played' && !isTold) {
    isTold = true;
    process.stderr.write(`containers are only played on this machine: ${runtime.reason}\n`);
  }
  return runtime;
}

/** PXM_... of `error[PXM_...]: ...`; empty when there is none. */
export function errorCode(result: CommandResult): string {
  return /error\[(PXM_[A-Z_]+)\]/.exec(result.stderr)?.[1] ?? '';
}
