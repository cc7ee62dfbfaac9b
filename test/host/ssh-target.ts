/**
 * A real Proxmox host that somebody lends, over ssh as root. The agent's bundle, configuration and state lie in one
 * temporary folder there and run as a transient unit; controller, bus and registry stay on this machine and are reached
 * through the tunnels of the same connection, so that nothing of the host's network has to be open.
 */
import { readFileSync } from 'node:fs';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { stringify } from 'yaml';
import { freePorts } from '../../deploy/stand/ports.ts';
import { bundle } from '../../deploy/stand/stand-dir.ts';
import { SshLine, type SshOptions } from './ssh-line.ts';
import type { Stage } from './stage.ts';
import type { Allowance, Target } from './target.ts';

const NEEDED = ['pct', 'pvesm', 'node', 'skopeo', 'systemd-run'];

export interface SshTargetOptions {
  readonly ssh: Omit<SshOptions, 'runner' | 'dir'>;
  readonly allowance: Allowance;
  /** More options of the agent, by key of its file. */
  readonly agent: Readonly<Record<string, unknown>> & { readonly path?: unknown };
}

export class SshTarget implements Target {
  readonly name: string;
  readonly allowance: Allowance;
  readonly isReal = true;
  private readonly line: SshLine;
  private readonly folder: string;
  private readonly unit: string;
  private readonly path: string;

  private constructor(parts: { name: string; line: SshLine; folder: string; options: SshTargetOptions }) {
    this.name = parts.name;
    this.line = parts.line;
    this.folder = parts.folder;
    this.allowance = parts.options.allowance;
    const { path } = parts.options.agent;
    this.path = typeof path === 'string' ? path : '/usr/sbin:/usr/bin:/sbin:/bin';
    this.unit = `pxmgr-test-${parts.folder.split('.').at(-1)?.toLowerCase() ?? 'agent'}`;
  }

  /** Connects and looks; nothing is written yet. Throws with what the host lacks. */
  static async connect(stage: Stage, options: SshTargetOptions): Promise<SshTarget> {
    const [port = 0] = await freePorts(1);
    const line = new SshLine({ ...options.ssh, runner: stage.dir.runner, dir: stage.dir.root });
    await line.open({ towardsUs: [...stage.controller.ports, stage.registryPort], towardsHost: [port] });
    try {
      const folder = (await line.text(['mktemp', '-d', '-t', 'pxmgr-test.XXXXXXXX'])).trim();
      const name = (await line.text(['hostname', '-s'])).trim();
      const target = new SshTarget({ name, line, folder, options });
      await target.requireTools();
      await target.install(stage, port, options.agent);
      return target;
    } catch (error) {
      await line.close();
      throw error;
    }
  }

  async tool(name: string, ...args: readonly string[]): Promise<CommandResult> {
    return await this.line.run(['env', `PATH=${this.path}`, 'LC_ALL=C', name, ...args]);
  }

  async readFile(path: string): Promise<string> {
    const result = await this.line.run(['cat', '--', path]);
    return result.exitCode === 0 ? result.stdout : '';
  }

  async writeFile(path: string, content: Uint8Array): Promise<void> {
    await this.line.text(['dd', 'status=none', `of=${path}`], content);
  }

  async removeFile(path: string): Promise<void> {
    await this.line.text(['rm', '-f', '--', path]);
  }

  async join(token: string): Promise<void> {
    await this.line.text([...this.agent(), 'join', '-', '--config', `${this.folder}/agent.yaml`], `${token}\n`);
  }

  async startAgent(): Promise<void> {
    // A unit that was killed is kept until it is forgotten; one that never ran is none.
    await this.line.run(['systemctl', 'reset-failed', this.unit]);
    const unit = ['systemd-run', '--quiet', `--unit=${this.unit}`, '--property=KillMode=process'];
    await this.line.text([...unit, ...this.agent(), '--config', `${this.folder}/agent.yaml`]);
  }

  async killAgent(): Promise<void> {
    await this.line.text(['systemctl', 'kill', '--signal=SIGKILL', this.unit]);
  }

  async stopAgent(): Promise<void> {
    await this.line.run(['systemctl', 'stop', this.unit]);
  }

  /** Archives of the test's image go too: the agent names them after it. */
  async close(): Promise<void> {
    await this.stopAgent();
    const { templateStorage } = this.allowance;
    const listed = await this.tool('pvesm', 'list', templateStorage, '--content', 'vztmpl');
    for (const volume of listed.stdout.match(/\S+:vztmpl\/pxmgr-host-test_\S+/g) ?? [])
      await this.tool('pvesm', 'free', volume);
    await this.line.run(['rm', '-rf', '--', this.folder]);
    await this.line.close();
  }

  private agent(): string[] {
    return ['node', `${this.folder}/pxmgr-agent.js`];
  }

  private async requireTools(): Promise<void> {
    const missing: string[] = [];
    for (const name of NEEDED)
      if ((await this.line.run(['env', `PATH=${this.path}`, 'which', name])).exitCode !== 0) missing.push(name);
    if (missing.length > 0)
      throw new Error(`${this.name} lacks ${missing.join(', ')}; on Debian: apt-get install nodejs skopeo`);
  }

  private async install(stage: Stage, port: number, more: Readonly<Record<string, unknown>>): Promise<void> {
    const config = {
      state_dir: `${this.folder}/state`,
      listen: `127.0.0.1:${port}`,
      advertise: `127.0.0.1:${port}`,
      command_log: `${this.folder}/commands.jsonl`,
      template_storage: this.allowance.templateStorage,
      insecure_registries: [stage.registry.address],
      registry_auth_file: `${this.folder}/auth.json`,
      ...more,
    };
    await this.writeFile(`${this.folder}/pxmgr-agent.js`, readFileSync(bundle('pxmgr-agent')));
    await this.writeFile(`${this.folder}/package.json`, Buffer.from('{"type":"module"}\n'));
    await this.writeFile(`${this.folder}/auth.json`, readFileSync(stage.registry.authFile));
    await this.writeFile(`${this.folder}/agent.yaml`, Buffer.from(stringify(config)));
  }
}
