/** One stand-in Proxmox host with a real agent process on it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installTools } from '@pxmgr/sim/door/exec';
import { createHost } from '@pxmgr/sim/fleet/new-host';
import type { Host, HostSpec } from '@pxmgr/sim/host/host';
import { stringify } from 'yaml';
import type { ControllerProcess } from './controller.ts';
import { Daemon, importOf } from './daemon.ts';
import { freePorts } from './ports.ts';
import { bundle, launcher, type StandDir, SYSTEM_PATH } from './stand-dir.ts';
import { waitFor } from './wait.ts';

/** A start takes as long as the machine, or the line to it, is slow; only a stuck one reaches it. */
const START_LIMIT_MS = 60_000;

export interface NodeOptions {
  readonly dir: StandDir;
  readonly controller: ControllerProcess;
  readonly host: HostSpec;
  /** More agent options, by key of the file. */
  readonly agent?: Readonly<Record<string, unknown>>;
  /** A module that Node loads before the agent. */
  readonly preload?: string;
  /** What lies between this node and everybody else; nothing: the machine itself. */
  readonly network?: Network;
}

/** From the controller to the agent, from the agent to the bus, and from everybody to the registry. */
export type Stretch = 'agent' | 'bus' | 'registry';

/** Gives the port that leads to another one. */
export interface Network {
  forward(port: number, stretch: Stretch): Promise<number>;
}

interface NodeView {
  readonly name: string;
  readonly presence: string;
  readonly generation: number;
  readonly cpuCores?: number;
}

export class NodeProcess {
  readonly host: Host;
  readonly configFile: string;
  readonly stateDir: string;
  readonly commandLog: string;
  private readonly options: NodeOptions;
  private daemon: Daemon | undefined;
  /** The start counter of the agent before its last start. */
  private generationBefore = 0n;
  /** The part of the cluster file system that notices writes to /etc/pve and keeps counters and figures. */
  private watcher: Daemon | undefined;

  private constructor(options: NodeOptions, host: Host, configFile: string) {
    this.options = options;
    this.host = host;
    this.configFile = configFile;
    this.stateDir = options.dir.path(`agent-${host.name}`);
    this.commandLog = join(options.dir.logs, `commands-${host.name}.jsonl`);
  }

  get name(): string {
    return this.host.name;
  }

  get pid(): number {
    return this.daemon?.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.daemon !== undefined && this.daemon.ended === undefined;
  }

  /** Makes the host and the agent's configuration; nothing runs yet. */
  static async create(options: NodeOptions): Promise<NodeProcess> {
    const { dir } = options;
    const root = dir.path('hosts', options.host.name);
    mkdirSync(root, { recursive: true });
    const host = createHost(root, options.host);
    installTools(host.root, { bundle: bundle('pxmgr-sim') });
    const configFile = dir.path(`agent-${host.name}.yaml`);
    const node = new NodeProcess(options, host, configFile);
    mkdirSync(node.stateDir, { recursive: true, mode: 0o700 });
    const [port = 0] = await freePorts(1);
    const config = {
      host_root: host.root,
      path: `${join(host.root, 'bin')}:${SYSTEM_PATH}`,
      state_dir: node.stateDir,
      listen: `127.0.0.1:${port}`,
      advertise: `127.0.0.1:${(await options.network?.forward(port, 'agent')) ?? port}`,
      command_log: node.commandLog,
      log_level: 'debug',
      ...options.agent,
    };
    writeFileSync(configFile, stringify(config), { mode: 0o600 });
    node.powerOn();
    return node;
  }

  private powerOn(): void {
    this.watcher = new Daemon(this.options.dir.runner, {
      name: `host ${this.name}`,
      file: process.execPath,
      args: [bundle('pxmgr-sim'), 'host', 'watch', '--root', this.host.root],
      logFile: join(this.options.dir.logs, `host-${this.name}.log`),
    });
  }

  /** Agent, guests and host down: really started guests would go on running without it. */
  async powerOff(): Promise<void> {
    await this.stop();
    try {
      const running = (await this.tool('pct', 'list'))
        .split('\n')
        .flatMap((line) => /^(\d+)\s+running/.exec(line)?.[1] ?? []);
      for (const vmid of running) await this.tool('pct', 'stop', vmid);
    } finally {
      await this.watcher?.stop();
      this.watcher = undefined;
    }
  }

  /** The token goes through standard input: it is a secret. */
  async join(token: string, ...more: readonly string[]): Promise<void> {
    const result = await this.options.dir.runner.run({
      file: process.execPath,
      args: [bundle('pxmgr-agent'), 'join', '-', '--config', this.configFile, ...more],
      stdin: `${token.trim()}\n`,
      purpose: 'join the fleet',
      timeoutMs: 30_000,
    });
    if (result.exitCode !== 0) throw new Error(`${this.name} could not join: ${result.stderr}${result.stdout}`);
    if (this.options.network !== undefined) await this.leadBusThrough(this.options.network);
  }

  private async leadBusThrough(network: Network): Promise<void> {
    const file = join(this.stateDir, 'identity', 'membership.json');
    const membership = JSON.parse(readFileSync(file, 'utf8')) as { natsUrl: string };
    const url = new URL(membership.natsUrl);
    url.port = String(await network.forward(Number(url.port), 'bus'));
    writeFileSync(file, JSON.stringify({ ...membership, natsUrl: url.toString() }), { mode: 0o600 });
  }

  /** Starts the agent; returns when it takes orders and the controller has heard of this start. */
  async start(): Promise<void> {
    this.startOnly();
    await this.waitUp();
  }

  startOnly(): void {
    this.generationBefore = this.generation();
    const { preload } = this.options;
    // Its launcher holds settings of Node that are part of how it is shipped.
    const program =
      preload === undefined
        ? [launcher('pxmgr-agent')]
        : [process.execPath, ...importOf(preload), bundle('pxmgr-agent')];
    const [file = '', ...args] = program;
    this.daemon = new Daemon(this.options.dir.runner, {
      name: `pxmgr-agent on ${this.name}`,
      file,
      args: [...args, '--config', this.configFile],
      logFile: join(this.options.dir.logs, `agent-${this.name}.log`),
    });
  }

  /** A second agent on the same configuration: what it says before it ends by itself. */
  async startAnother(): Promise<string> {
    const result = await this.options.dir.runner.run({
      file: process.execPath,
      args: [bundle('pxmgr-agent'), '--config', this.configFile],
      purpose: `run a second agent on ${this.name}`,
      timeoutMs: START_LIMIT_MS,
    });
    return result.stderr;
  }

  /** An agent that was killed counts as up for a while: what the controller knows has to come from the one that runs. */
  async waitUp(): Promise<void> {
    await this.daemon?.line(/serving the controller/, START_LIMIT_MS);
    await waitFor(`${this.name} is up`, START_LIMIT_MS, async () => {
      if (this.daemon?.ended !== undefined)
        throw new Error(`the agent on ${this.name} ended; see ${this.daemon.logFile}`);
      const nodes = await this.options.controller.cli.json<NodeView[]>(['node', 'list']);
      const node = nodes.find(({ name }) => name === this.name);
      if (node === undefined || BigInt(node.generation) <= this.generationBefore) return undefined;
      return node.presence === 'up' && (node.cpuCores ?? 0) > 0 ? true : undefined;
    });
  }

  /** What the agent counts its starts with; 0 before the first, and where the file was damaged. */
  private generation(): bigint {
    const file = join(this.stateDir, 'generation');
    const text = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
    return /^\d+$/.test(text) ? BigInt(text) : 0n;
  }

  /** A command of the host itself, as an administrator would type it there. */
  async tool(name: string, ...args: readonly string[]): Promise<string> {
    const result = await this.options.dir.runner.run({
      file: join(this.host.root, 'bin', name),
      args,
      purpose: `run ${name} on ${this.name}`,
      timeoutMs: 60_000,
    });
    return result.stdout;
  }

  async stop(): Promise<number | null> {
    const result = await this.daemon?.stop();
    this.daemon = undefined;
    return result?.exitCode ?? null;
  }

  /** SIGKILL in the middle of whatever it does. */
  async kill(): Promise<void> {
    await this.daemon?.kill();
    this.daemon = undefined;
  }
}
