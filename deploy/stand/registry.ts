/** A real registry (Debian's docker-registry) on loopback, with a user and a password. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Runner } from '@pxmgr/kit/exec/command';
import { registerSecret } from '@pxmgr/kit/log/redact';
import { Daemon } from './daemon.ts';
import type { Network } from './node.ts';

const START_LIMIT_MS = 20_000;

export interface RegistryOptions {
  readonly dir: string;
  readonly runner: Runner;
  readonly user: string;
  readonly password: string;
  /** What lies between it and everybody; nothing: the machine itself. */
  readonly network?: Network;
}

export class Registry {
  /** 127.0.0.1:port */
  readonly address: string;
  /** For --authfile: containers-auth.json(5). */
  readonly authFile: string;
  private readonly daemon: Daemon;
  private readonly dir: string;

  private constructor(daemon: Daemon, dir: string, address: string) {
    this.daemon = daemon;
    this.dir = dir;
    this.address = address;
    this.authFile = join(dir, 'auth.json');
  }

  static async start(options: RegistryOptions): Promise<Registry> {
    const { dir, runner } = options;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    registerSecret(options.password);
    await writePasswordFile(options);
    const config = join(dir, 'config.json');
    writeFileSync(config, JSON.stringify(registryConfig(dir)), { mode: 0o600 });
    const daemon = new Daemon(runner, {
      name: 'docker-registry',
      file: 'docker-registry',
      args: ['serve', config],
      logFile: join(dir, 'registry.log'),
    });
    const line = await daemon.line(/listening on 127\.0\.0\.1:\d+/, START_LIMIT_MS);
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(line)?.[1]);
    const address = `127.0.0.1:${(await options.network?.forward(port, 'registry')) ?? port}`;
    const registry = new Registry(daemon, dir, address);
    writeAuthFile(registry.authFile, { ...options, address });
    return registry;
  }

  /** Where its blobs lie, for tests that damage them. */
  get dataDir(): string {
    return join(this.dir, 'data');
  }

  async stop(): Promise<void> {
    await this.daemon.stop();
  }
}

async function writePasswordFile(options: RegistryOptions): Promise<void> {
  const file = join(options.dir, 'htpasswd');
  // -i reads the password from standard input: it must not show up in the process list.
  const result = await options.runner.run({
    file: 'htpasswd',
    args: ['-i', '-B', '-c', file, options.user],
    stdin: options.password,
    purpose: 'make the password file of the registry',
    timeoutMs: 20_000,
  });
  if (result.exitCode !== 0) throw new Error(`htpasswd failed: ${result.stderr}`);
  if (!readFileSync(file, 'utf8').startsWith(`${options.user}:`)) throw new Error('htpasswd wrote no entry');
}

/** JSON is YAML, which the registry reads. Port 0: the kernel chooses, the log line tells. */
function registryConfig(dir: string): unknown {
  return {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, 'data') }, delete: { enabled: true } },
    http: { addr: '127.0.0.1:0', secret: 'one registry, no cluster' },
    auth: { htpasswd: { realm: 'pxmgr', path: join(dir, 'htpasswd') } },
  };
}

/** containers-auth.json(5) with one registry. */
export function writeAuthFile(path: string, login: { address: string; user: string; password: string }): void {
  const auth = Buffer.from(`${login.user}:${login.password}`).toString('base64');
  writeFileSync(path, JSON.stringify({ auths: { [login.address]: { auth } } }), { mode: 0o600 });
}
