/** A host with a service manager of its own, booted out of this machine's system in namespaces (boot.sh). */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { Daemon } from '../../deploy/stand/daemon.ts';
import { StandDir } from '../../deploy/stand/stand-dir.ts';
import { waitFor } from '../../deploy/stand/wait.ts';

const BOOT = join(import.meta.dirname, 'boot.sh');
const BOOT_LIMIT_MS = 60_000;
const COMMAND_LIMIT_MS = 60_000;

function bootCommand(folder: string, more: readonly string[] = []): { file: string; args: string[] } {
  return { file: 'unshare', args: ['--mount', 'sh', BOOT, folder, `pxmgr-${process.pid}`, ...more] };
}

/** Why this machine cannot boot such a host; undefined when it can. */
export async function whyNoSystemdHost(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'it needs root';
  const dir = new StandDir(mkdtempSync(join(tmpdir(), 'pxmgr-host-')));
  mkdirSync(dir.path('files'));
  try {
    const tried = await dir.runner.run({
      ...bootCommand(dir.root, ['/bin/true']),
      purpose: 'look whether a host can be booted',
      timeoutMs: COMMAND_LIMIT_MS,
    });
    const last = `${tried.stderr}${tried.stdout}`.trim().split('\n').at(-1) ?? '';
    return tried.exitCode === 0 ? undefined : last || `ended with ${tried.exitCode ?? tried.signal ?? '?'}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    rmSync(dir.root, { recursive: true, force: true });
  }
}

export class SystemdHost {
  readonly dir: StandDir;
  private readonly daemon: Daemon;
  private readonly init: number;

  private constructor(dir: StandDir, daemon: Daemon, init: number) {
    this.dir = dir;
    this.daemon = daemon;
    this.init = init;
  }

  /** `files`: path on the host -> text, or { from: path here }. Returns when the service manager answers. */
  static async boot(files: Readonly<Record<string, string | { readonly from: string }>>): Promise<SystemdHost> {
    const dir = new StandDir(mkdtempSync(join(tmpdir(), 'pxmgr-host-')));
    for (const [path, content] of Object.entries({ ...files, ...nodeBinary() })) {
      const to = dir.path('files', path);
      mkdirSync(dirname(to), { recursive: true });
      if (typeof content === 'string') writeFileSync(to, content);
      else cpSync(content.from, to, { recursive: true });
    }
    const daemon = new Daemon(dir.runner, {
      name: 'host',
      ...bootCommand(dir.root),
      logFile: join(dir.logs, 'boot.log'),
    });
    try {
      const init = await waitFor('the host has a first process', BOOT_LIMIT_MS, () => {
        if (daemon.ended !== undefined) throw new Error(`the host ended: ${daemon.ended.stderr}${daemon.ended.stdout}`);
        return firstProcessOf(daemon.pid);
      });
      const host = new SystemdHost(dir, daemon, init);
      await waitFor('the host has booted', BOOT_LIMIT_MS, async () =>
        /^(?:running|degraded)$/.test((await host.run('systemctl', 'is-system-running')).stdout.trim())
          ? true
          : undefined,
      );
      return host;
    } catch (error) {
      await daemon.kill();
      rmSync(dir.root, { recursive: true, force: true });
      throw error;
    }
  }

  /** A program on the host, as root there. Never rejects for an exit code. */
  async run(file: string, ...args: readonly string[]): Promise<CommandResult> {
    return await this.dir.runner.run({
      file: 'nsenter',
      args: ['--target', String(this.init), '--all', '--wd=/', '--', file, ...args],
      purpose: 'run a program on the host',
      timeoutMs: COMMAND_LIMIT_MS,
      maxOutputBytes: 8 * 1024 * 1024,
    });
  }

  /** Standard output; throws with both streams when the exit code is not 0. */
  async text(file: string, ...args: readonly string[]): Promise<string> {
    const result = await this.run(file, ...args);
    if (result.exitCode === 0) return result.stdout;
    throw new Error(
      `${[file, ...args].join(' ')} ended with ${result.exitCode ?? result.signal ?? '?'}:\n${result.stdout}${result.stderr}`,
    );
  }

  /** Properties of a unit. */
  async show<K extends string>(unit: string, ...properties: readonly K[]): Promise<Record<K, string>> {
    const lines = (await this.text('systemctl', 'show', unit, `--property=${properties.join(',')}`)).trim().split('\n');
    const pairs = lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
    return Object.fromEntries(pairs) as Record<K, string>;
  }

  async stop(): Promise<void> {
    // nspawn passes it on as "halt"; what does not end is killed with its namespace.
    await this.daemon.stop();
    rmSync(this.dir.root, { recursive: true, force: true });
  }
}

/** The Node that runs the tests is the one of the host, wherever it lies here. */
function nodeBinary(): Record<string, { from: string }> {
  return process.execPath.startsWith('/usr/') ? {} : { '/usr/local/bin/node': { from: process.execPath } };
}

/** The child that lives in a process namespace of its own. */
function firstProcessOf(parent: number): number | undefined {
  const own = readlinkSync('/proc/self/ns/pid');
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const parentOf = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      if (parentOf === parent && readlinkSync(`/proc/${name}/ns/pid`) !== own) return Number(name);
    } catch {
      // It has ended meanwhile.
    }
  }
  return undefined;
}
