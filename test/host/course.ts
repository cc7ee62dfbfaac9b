/** One run of the suite over one host: the words that the steps are written in. */
import assert from 'node:assert/strict';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import type { Cli } from '../../deploy/stand/cli.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import type { ContainerView, OperationView } from '../e2e/fleet.ts';
import type { Stage } from './stage.ts';
import { type Target, toolText } from './target.ts';

/** Real hosts are busy with other things too. */
export const WAIT_LIMIT_MS = 120_000;

export interface Step {
  readonly title: string;
  run(course: Course): Promise<void>;
}

export class Course {
  readonly target: Target;
  readonly stage: Stage;

  constructor(stage: Stage, target: Target) {
    this.stage = stage;
    this.target = target;
  }

  get cli(): Cli {
    return this.stage.controller.cli;
  }

  /** The n-th id that the suite may use. */
  vmid(n: number): string {
    const { first, last } = this.target.allowance.vmids;
    assert.ok(first + n <= last, `the suite needs ${n + 1} ids from ${first} on`);
    return String(first + n);
  }

  /** The configuration as the host's own tool shows it. */
  async config(vmid: string): Promise<string> {
    return await toolText(this.target, 'pct', 'config', vmid);
  }

  async status(vmid: string): Promise<string> {
    return (await toolText(this.target, 'pct', 'status', vmid)).trim();
  }

  async container(key: string): Promise<ContainerView> {
    return await this.cli.json<ContainerView>(['container', 'get', key]);
  }

  /** Begins it and comes back as soon as it is accepted; the operation's id. */
  async begin(args: readonly string[]): Promise<string> {
    return (await this.cli.text([...args, '--detach', '-o', 'name'])).trim();
  }

  async operation(id: string): Promise<OperationView> {
    return await this.cli.json<OperationView>(['operation', 'get', id]);
  }

  async ended(id: string): Promise<OperationView> {
    await this.cli.run(['operation', 'watch', id, '--quiet']);
    return await this.operation(id);
  }

  async waitFor<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    return await waitFor(what, WAIT_LIMIT_MS, look);
  }

  /** The node is up and its inventory is there. */
  async nodeIsUp(): Promise<void> {
    await this.waitFor(`${this.target.name} is up`, async () => {
      const nodes = await this.cli.json<{ name: string; presence: string; cpuCores?: number }[]>(['node', 'list']);
      const node = nodes.find(({ name }) => name === this.target.name);
      return node?.presence === 'up' && (node.cpuCores ?? 0) > 0 ? true : undefined;
    });
  }

  /** A command that must be refused with that code; the whole text. */
  async refused(code: string, args: readonly string[]): Promise<string> {
    const result = await this.cli.run(args);
    const text = `${result.stdout}${result.stderr}`;
    assert.equal(codeOf(result), code, text);
    assert.notEqual(result.exitCode, 0);
    return text;
  }

  async succeeds(args: readonly string[]): Promise<string> {
    return await this.cli.text(args);
  }
}

/** PXM_... of `error[PXM_...]: ...`; empty when there is none. */
function codeOf(result: CommandResult): string {
  return /error\[(PXM_[A-Z_]+)\]/.exec(result.stderr)?.[1] ?? '';
}
