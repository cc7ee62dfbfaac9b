/** A real controller on loopback that supervises a real nats-server. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { Cli } from './cli.ts';
import { Daemon, importOf } from './daemon.ts';
import { freePorts } from './ports.ts';
import { bundle, type StandDir } from './stand-dir.ts';
import { waitFor } from './wait.ts';

/** Only a stuck one reaches it, however slow the machine is. */
const START_LIMIT_MS = 60_000;

export class ControllerProcess {
  readonly configFile: string;
  readonly socket: string;
  readonly stateDir: string;
  readonly cli: Cli;
  /** Of the calls, of joining and of the bus, on loopback. */
  readonly ports: readonly number[];
  private readonly dir: StandDir;
  private readonly preload: string | undefined;
  private daemon: Daemon | undefined;

  private constructor(dir: StandDir, configFile: string, parts: { ports: readonly number[]; preload?: string }) {
    this.ports = parts.ports;
    this.dir = dir;
    this.preload = parts.preload;
    this.configFile = configFile;
    this.socket = dir.path('controller', 'controller.sock');
    this.stateDir = dir.path('controller');
    this.cli = new Cli(dir, this.socket);
  }

  /** `extra`: more options, by key of the file. `preload`: a module that Node loads before the controller. */
  static async create(
    dir: StandDir,
    extra: Readonly<Record<string, unknown>> = {},
    preload?: string,
  ): Promise<ControllerProcess> {
    const ports = await freePorts(3);
    const [listen, join_, nats] = ports;
    mkdirSync(dir.path('controller'), { recursive: true, mode: 0o700 });
    const configFile = join(dir.path('controller'), 'controller.yaml');
    const config = {
      state_dir: dir.path('controller'),
      unix_socket: dir.path('controller', 'controller.sock'),
      listen: `127.0.0.1:${listen ?? 0}`,
      join_listen: `127.0.0.1:${join_ ?? 0}`,
      nats_listen: `127.0.0.1:${nats ?? 0}`,
      advertise: ['127.0.0.1'],
      metrics_listen: '',
      log_level: 'debug',
      ...extra,
    };
    writeFileSync(configFile, stringify(config), { mode: 0o600 });
    return new ControllerProcess(dir, configFile, { ports, ...(preload === undefined ? {} : { preload }) });
  }

  get pid(): number {
    return this.daemon?.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.daemon !== undefined && this.daemon.ended === undefined;
  }

  /** Returns when it answers on its socket. */
  async start(): Promise<void> {
    const daemon = new Daemon(this.dir.runner, {
      name: 'pxmgr-controller',
      file: process.execPath,
      args: [...importOf(this.preload), bundle('pxmgr-controller'), '--config', this.configFile],
      logFile: join(this.dir.logs, 'controller.log'),
    });
    this.daemon = daemon;
    await waitFor('the controller answers', START_LIMIT_MS, async () => {
      if (daemon.ended !== undefined) throw new Error(`the controller ended; see ${daemon.logFile}`);
      return (await this.cli.run(['status', '-o', 'json'])).exitCode === 0 ? true : undefined;
    });
  }

  async stop(): Promise<number | null> {
    const result = await this.daemon?.stop();
    this.daemon = undefined;
    return result?.exitCode ?? null;
  }

  async kill(): Promise<void> {
    await this.daemon?.kill();
    this.daemon = undefined;
  }
}
