/** A stand-in host of this machine as the target. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { furnish, HOSTS, runtimeHere } from '../../deploy/demo/furnish.ts';
import { NodeProcess } from '../../deploy/stand/node.ts';
import type { Stage } from './stage.ts';
import { type Allowance, MARKER, type Target } from './target.ts';

const TOOL_LIMIT_MS = 120_000;

/** pve1 keeps guests in files, pve2 on ZFS. */
export type StandInName = 'pve1' | 'pve2';

export class StandInTarget implements Target {
  readonly allowance: Allowance;
  readonly isReal: boolean;
  private readonly stage: Stage;
  private readonly node: NodeProcess;

  private constructor(stage: Stage, node: NodeProcess) {
    this.stage = stage;
    this.node = node;
    this.isReal = node.host.runtime === 'lxc';
    this.allowance = {
      vmids: { first: 9000, last: 9019 },
      storage: node.name === 'pve2' ? 'local-zfs' : 'local',
      templateStorage: 'local',
      bridge: 'vmbr0',
      device: node.name === 'pve2' ? '/dev/kfd' : '/dev/nvidia0',
    };
  }

  static async create(stage: Stage, name: StandInName): Promise<StandInTarget> {
    const spec = HOSTS.find((host) => host.name === name);
    if (spec === undefined) throw new Error(`there is no stand-in host ${name}`);
    const node = await NodeProcess.create({
      dir: stage.dir,
      controller: stage.controller,
      host: { ...spec, runtime: (await runtimeHere()).kind },
      agent: { insecure_registries: [stage.registry.address], registry_auth_file: stage.registry.authFile },
    });
    await furnish(node);
    const target = new StandInTarget(stage, node);
    target.mark();
    return target;
  }

  get name(): string {
    return this.node.name;
  }

  async tool(name: string, ...args: readonly string[]): Promise<CommandResult> {
    const isFile = name === 'test';
    const file = isFile ? name : join(this.node.host.root, 'bin', name);
    return await this.stage.dir.runner.run({
      file,
      args: isFile ? args.map((word) => (word.startsWith('/') ? this.node.host.path(word) : word)) : args,
      purpose: `run ${name} on ${this.name}`,
      timeoutMs: TOOL_LIMIT_MS,
    });
  }

  async readFile(path: string): Promise<string> {
    try {
      return await Promise.resolve(readFileSync(this.node.host.path(path), 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  }

  async writeFile(path: string, content: Uint8Array): Promise<void> {
    mkdirSync(dirname(this.node.host.path(path)), { recursive: true });
    writeFileSync(this.node.host.path(path), content);
    await Promise.resolve();
  }

  async removeFile(path: string): Promise<void> {
    rmSync(this.node.host.path(path), { force: true });
    await Promise.resolve();
  }

  async join(token: string): Promise<void> {
    await this.node.join(token);
  }

  async startAgent(): Promise<void> {
    this.node.startOnly();
    await Promise.resolve();
  }

  async killAgent(): Promise<void> {
    await this.node.kill();
  }

  async stopAgent(): Promise<void> {
    await this.node.stop();
  }

  async close(): Promise<void> {
    await this.node.powerOff();
  }

  private mark(): void {
    mkdirSync(dirname(this.node.host.path(MARKER)), { recursive: true });
    writeFileSync(this.node.host.path(MARKER), '');
  }
}
