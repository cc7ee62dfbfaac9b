/**
 * bus/: NATS. A nats-server supervised as our child (or an external one), the operator and account JWTs that confine
 * each agent to its own subjects, streams, the durable consumer. Knows messages as bytes with a subject; what they
 * mean is inventory's matter. Never touches SQLite: it hands batches up and acknowledges when the call returns.
 */
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Runner, RunningCommand } from '@pxmgr/kit/exec/command';
import { processIds, processWords, signalProcess } from '@pxmgr/kit/exec/process-table';
import type { Logger } from '@pxmgr/kit/log/logger';
import { renderServerConfig, type ServerSettings } from './server-config.ts';

export interface NatsServerOptions {
  readonly runner: Runner;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Program name or absolute path. */
  readonly program: string;
  /** Folder for config, certificates, JWTs and streams; made with mode 0700. */
  readonly folder: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM. */
  readonly tls: { readonly certificate: string; readonly key: string; readonly ca: string };
  readonly operatorJwt: string;
  readonly systemAccount: string;
  readonly accounts: Readonly<Record<string, string>>;
}

const READY_LIMIT_MS = 20_000;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_LAST_MS = 15_000;
/** An instance that lived this long resets the backoff. */
const STABLE_MS = 60_000;
const GIB = 1024 ** 3;

/** A nats-server that is started again when it dies. `start` resolves when clients can connect. */
export class NatsServer {
  readonly #options: NatsServerOptions;
  readonly #stopping = new AbortController();
  #command: RunningCommand | undefined;
  #supervision: Promise<void> | undefined;
  #port: number;
  #restarts = 0;

  constructor(options: NatsServerOptions) {
    this.#options = options;
    this.#port = options.listen.port;
  }

  /** The port it listens on; the configured one, or the one it chose. */
  get port(): number {
    return this.#port;
  }

  get restarts(): number {
    return this.#restarts;
  }

  get pid(): number | undefined {
    return this.#command?.pid;
  }

  /** Errors: PXM_NATS_START_FAILED with the server's own last words. */
  async start(): Promise<void> {
    await this.#prepareFolder();
    await this.#endOrphan();
    const first = await this.#launch();
    this.#supervision = this.#supervise(first);
  }

  /** For one that hangs: it is killed, and the supervision starts the next one. */
  restart(): void {
    if (this.pid !== undefined) signalProcess(this.pid, 'SIGKILL');
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    this.#command?.terminate();
    await this.#supervision;
  }

  #path(name: string): string {
    return join(this.#options.folder, name);
  }

  async #prepareFolder(): Promise<void> {
    const { folder, tls } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
    // The account JWTs come from us at each start; an old copy with fewer revocations must not win.
    await rm(this.#path('jwt'), { recursive: true, force: true });
    await mkdir(this.#path('jwt'), { mode: 0o700 });
    await writePrivate(this.#path('server.crt'), tls.certificate);
    await writePrivate(this.#path('server.key'), tls.key);
    await writePrivate(this.#path('ca.crt'), tls.ca);
  }

  async #writeConfig(): Promise<string> {
    const { listen, operatorJwt, systemAccount, accounts } = this.#options;
    const settings: ServerSettings = {
      listen: { host: listen.host, port: this.#port },
      pidFile: this.#path('server.pid'),
      storeDir: this.#path('store'),
      resolverDir: this.#path('jwt'),
      tls: { certFile: this.#path('server.crt'), keyFile: this.#path('server.key'), caFile: this.#path('ca.crt') },
      operatorJwt,
      systemAccount,
      accounts,
      maxMemoryBytes: GIB / 4,
      maxFileBytes: 10 * GIB,
    };
    const path = this.#path('server.conf');
    await writePrivate(path, renderServerConfig(settings));
    return path;
  }

  /** One process; resolves when it says that it is ready. */
  async #launch(): Promise<RunningCommand> {
    const config = await this.#writeConfig();
    // Nobody would end one that begins now.
    this.#stopping.signal.throwIfAborted();
    const lastWords: string[] = [];
    let becomeReady: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => {
      becomeReady = resolve;
    });
    const onLine = (_stream: 'out' | 'err', line: string): void => {
      this.#readLine(line, becomeReady);
      lastWords.push(line);
      if (lastWords.length > 5) lastWords.shift();
    };
    const { runner, program, clock } = this.#options;
    const command = runner.start(
      { file: program, args: ['-c', config], purpose: 'message bus', timeoutMs: Infinity, killGraceMs: 5000 },
      { onLine },
    );
    this.#command = command;
    const limit = new AbortController();
    try {
      await Promise.race([ready, this.#endedEarly(command, lastWords), this.#tooLate(clock, limit.signal, lastWords)]);
      return command;
    } catch (error) {
      command.terminate();
      throw error;
    } finally {
      limit.abort();
    }
  }

  #readLine(line: string, onReady: () => void): void {
    const port = /Listening for client connections on .*:(\d+)/.exec(line)?.[1];
    if (port !== undefined) this.#port = Number(port);
    if (line.includes('Server is ready')) onReady();
    if (/\[(ERR|FTL)\]/.test(line)) this.#options.logger.warn({ line }, 'nats-server reports');
  }

  async #endedEarly(command: RunningCommand, lastWords: readonly string[]): Promise<never> {
    const result = await command.done;
    throw startFailed(lastWords, `it ended with ${result.signal ?? `exit status ${String(result.exitCode)}`}`);
  }

  async #tooLate(clock: Clock, signal: AbortSignal, lastWords: readonly string[]): Promise<never> {
    try {
      await clock.sleep(READY_LIMIT_MS, signal);
    } catch {
      // Ready or ended in time; the race is over and nobody looks at this promise.
      return await new Promise<never>(() => undefined);
    }
    throw startFailed(lastWords, `it was not ready within ${String(READY_LIMIT_MS / 1000)} s`);
  }

  async #supervise(first: RunningCommand): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#stopping;
    let current: RunningCommand | undefined = first;
    let backoffMs = BACKOFF_FIRST_MS;
    for (;;) {
      const startedMs = clock.monotonicMs();
      const result = await current?.done;
      // Its process id may be another program's soon.
      this.#command = undefined;
      if (signal.aborted) return;
      if (clock.monotonicMs() - startedMs > STABLE_MS) backoffMs = BACKOFF_FIRST_MS;
      if (result !== undefined)
        logger.error({ exit: result.exitCode, signal: result.signal }, 'nats-server ended; it is started again');
      await clock.sleep(backoffMs, signal).catch(() => undefined);
      if (this.#isStopping()) return;
      backoffMs = Math.min(backoffMs * 2, BACKOFF_LAST_MS);
      this.#restarts += 1;
      current = await this.#launch().catch((error: unknown) => {
        logger.error({ err: error }, 'nats-server did not start again');
        return undefined;
      });
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** After SIGKILL of the controller its nats-server lives on and holds port and store; only ours is ended. */
  async #endOrphan(): Promise<void> {
    const { logger, clock } = this.#options;
    const config = this.#path('server.conf');
    for (const pid of serversOf(config)) {
      logger.warn({ pid }, 'ending the nats-server that an earlier controller left behind');
      signalProcess(pid, 'SIGTERM');
      const isThere = (): boolean => processWords(pid, 'cmdline').includes(config);
      for (let tries = 0; tries < 100 && isThere(); tries += 1) await clock.sleep(50);
      if (isThere()) signalProcess(pid, 'SIGKILL');
    }
  }
}

/** Found by their configuration file: the pid file may be gone, or from before a restart of the machine. */
function serversOf(config: string): number[] {
  return processIds().filter((pid) => {
    const words = processWords(pid, 'cmdline');
    return words.includes('-c') && words.includes(config);
  });
}

async function writePrivate(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  await chmod(path, 0o600);
}

function startFailed(lastWords: readonly string[], reason: string): PxmError {
  return new PxmError(
    'PXM_NATS_START_FAILED',
    {},
    { detail: `${reason}${lastWords.length === 0 ? '' : `; it said: ${lastWords.join(' | ')}`}` },
  );
}
