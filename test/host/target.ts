/** The Proxmox host under test, as its administrator has it: its own tools, its files, an agent that is not ours to spare. */
import type { CommandResult } from '@pxmgr/kit/exec/command';

/** What the suite may use of the host; everything else is left alone. */
export interface Allowance {
  /** Inclusive; no guest of the host may have an id in it when the suite begins. */
  readonly vmids: { readonly first: number; readonly last: number };
  /** Takes the root file systems of the guests. */
  readonly storage: string;
  /** Takes archives of images and the template that the suite brings. */
  readonly templateStorage: string;
  readonly bridge: string;
  /** A device node that any guest may have. */
  readonly device: string;
}

export interface Target {
  /** The node's name as Proxmox has it. */
  readonly name: string;
  readonly allowance: Allowance;
  /** False where guests are only played: nothing inside them answers. */
  readonly isReal: boolean;
  /** A program of the host. Never rejects for an exit status. */
  tool(name: string, ...args: readonly string[]): Promise<CommandResult>;
  /** Empty when the file is not there. */
  readFile(path: string): Promise<string>;
  writeFile(path: string, content: Uint8Array): Promise<void>;
  removeFile(path: string): Promise<void>;
  /** The token goes through standard input. */
  join(token: string): Promise<void>;
  startAgent(): Promise<void>;
  /** SIGKILL to the agent alone. */
  killAgent(): Promise<void>;
  stopAgent(): Promise<void>;
  /** What the suite brought to the host goes away with this. */
  close(): Promise<void>;
}

/** An administrator puts this file on a host that tests may use. */
export const MARKER = '/etc/pxmgr/test-host';

/** Standard output; rejects with both streams when the status is not 0. */
export async function toolText(target: Target, name: string, ...args: readonly string[]): Promise<string> {
  const result = await target.tool(name, ...args);
  if (result.exitCode === 0) return result.stdout;
  const status = result.exitCode ?? result.signal ?? 'nothing';
  throw new Error(
    `${name} ${args.join(' ')} on ${target.name} ended with ${status}:\n${result.stdout}${result.stderr}`,
  );
}

/** Guests and volumes with an id of the allowance, one line each; empty when the suite left nothing. */
export async function tracesOf(target: Target): Promise<string[]> {
  const { vmids, storage } = target.allowance;
  const isOurs = (text: string | undefined): boolean => {
    const vmid = Number(text);
    return vmid >= vmids.first && vmid <= vmids.last;
  };
  const rows = async (...args: readonly [string, ...string[]]): Promise<string[][]> =>
    (await toolText(target, ...args))
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/));
  const guests = await rows('pct', 'list');
  const volumes = await rows('pvesm', 'list', storage);
  return [
    ...guests.filter(([vmid]) => isOurs(vmid)).map(([vmid]) => `container ${vmid ?? ''}`),
    ...volumes.filter((row) => isOurs(row.at(-1))).map(([volume]) => `volume ${volume ?? ''}`),
  ];
}

/** Throws, with what to do, when the host is not one that may be used. */
export async function requireUsable(target: Target): Promise<void> {
  if ((await target.tool('test', '-e', MARKER)).exitCode !== 0)
    throw new Error(
      `${target.name} has no ${MARKER}: it is not a host for tests. Its administrator allows it with: touch ${MARKER}`,
    );
  const found = await tracesOf(target);
  if (found.length > 0)
    throw new Error(`${target.name} uses ids that were given to the tests; choose others: ${found.join(', ')}`);
}

/** Guests of the allowance away, by the host's own tools. Says what it could not remove. */
export async function sweep(target: Target): Promise<string[]> {
  const { vmids } = target.allowance;
  const listed = (await target.tool('pct', 'list')).stdout;
  for (const [vmid] of listed.split('\n').map((line) => line.trim().split(/\s+/))) {
    if (vmid === undefined || !(Number(vmid) >= vmids.first && Number(vmid) <= vmids.last)) continue;
    await target.tool('pct', 'unlock', vmid);
    await target.tool('pct', 'stop', vmid);
    await target.tool('pct', 'destroy', vmid, '--purge', '1', '--destroy-unreferenced-disks', '1');
  }
  return await tracesOf(target);
}
