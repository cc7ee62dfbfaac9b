/**
 * One connection to a host over the system's own ssh: commands, files and tunnels share it. A command line crosses ssh as
 * text for the login shell there, so every word is quoted; nothing is put together from words of others.
 */
import type { CommandResult, Runner } from '@pxmgr/kit/exec/command';
import { Daemon } from '../../deploy/stand/daemon.ts';
import { waitFor } from '../../deploy/stand/wait.ts';

const CONNECT_LIMIT_MS = 30_000;
const COMMAND_LIMIT_MS = 180_000;

export interface SshOptions {
  readonly runner: Runner;
  /** user@host or user@host:port */
  readonly address: string;
  /** Private key; ssh's own choice (agent, ~/.ssh/config) when undefined. */
  readonly identity: string | undefined;
  /** For the control socket and the log of the connection. */
  readonly dir: string;
}

export interface Tunnels {
  /** Ports on the host's loopback that lead to the same ports here. */
  readonly towardsUs: readonly number[];
  /** Ports on our loopback that lead to the same ports there. */
  readonly towardsHost: readonly number[];
}

export class SshLine {
  private readonly options: SshOptions;
  private readonly where: readonly string[];
  private master: Daemon | undefined;

  constructor(options: SshOptions) {
    this.options = options;
    const [, destination = options.address, port] = /^(.*?)(?::(\d+))?$/.exec(options.address) ?? [];
    this.where = [...(port === undefined ? [] : ['-p', port]), destination];
  }

  /** Host keys are checked against known_hosts; nothing is asked. Throws with ssh's own words. */
  async open(tunnels: Tunnels): Promise<void> {
    const forwards = [
      ...tunnels.towardsUs.flatMap((port) => ['-R', `127.0.0.1:${port}:127.0.0.1:${port}`]),
      ...tunnels.towardsHost.flatMap((port) => ['-L', `127.0.0.1:${port}:127.0.0.1:${port}`]),
    ];
    const master = new Daemon(this.options.runner, {
      name: 'ssh',
      file: 'ssh',
      args: ['-N', '-M', ...this.common(), '-o', 'ExitOnForwardFailure=yes', ...forwards, ...this.where],
      logFile: `${this.options.dir}/ssh.log`,
    });
    this.master = master;
    await waitFor(`ssh to ${this.options.address} is open`, CONNECT_LIMIT_MS, async () => {
      if (master.ended !== undefined)
        throw new Error(`ssh to ${this.options.address} ended: ${master.ended.stderr.trim()}`);
      return (await this.ssh(['-O', 'check'], [])).exitCode === 0 ? true : undefined;
    });
  }

  /** Never rejects for an exit status. */
  async run(words: readonly string[], stdin?: string | Uint8Array): Promise<CommandResult> {
    return await this.ssh([], words, stdin);
  }

  /** Standard output; rejects with both streams when the status is not 0. */
  async text(words: readonly string[], stdin?: string | Uint8Array): Promise<string> {
    const result = await this.run(words, stdin);
    if (result.exitCode === 0) return result.stdout;
    const status = result.exitCode ?? result.signal ?? 'nothing';
    throw new Error(`${words.join(' ')} ended with ${status}:\n${result.stdout}${result.stderr}`);
  }

  async close(): Promise<void> {
    await this.master?.stop();
  }

  private common(): string[] {
    const { dir, identity } = this.options;
    const key = identity === undefined ? [] : ['-o', 'IdentitiesOnly=yes', '-i', identity];
    return ['-o', 'BatchMode=yes', '-o', 'ServerAliveInterval=10', '-S', `${dir}/ssh.sock`, ...key];
  }

  private async ssh(
    control: readonly string[],
    words: readonly string[],
    stdin?: string | Uint8Array,
  ): Promise<CommandResult> {
    return await this.options.runner.run({
      file: 'ssh',
      args: [...this.common(), ...control, ...this.where, ...(words.length === 0 ? [] : [words.map(quoted).join(' ')])],
      purpose: 'work on the host under test',
      timeoutMs: COMMAND_LIMIT_MS,
      ...(stdin === undefined ? {} : { stdin }),
    });
  }
}

/** One word for a POSIX shell. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
