/**
 * One of several commands that ran at the same time. The recording tells their effects for the group as a whole, so only
 * status and streams are compared. What the others did to this one is set up in the order that the recording shows: an
 * id that was taken first, a lock that was held when it came and let go (or not) while it waited.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { waitFor } from '../../../deploy/stand/wait.ts';
import { type FaultAction, faultsOf, setFaults } from '../../../packages/sim/src/call/fault.ts';
import type { FaultPointName } from '../../../packages/sim/src/call/fault-points.ts';
import { turnSwitches } from '../../../packages/sim/src/call/switches.ts';
import { cutNode, waitForNotice } from '../../../packages/sim/src/cluster/membership.ts';
import { guestFile, syncCluster } from '../../../packages/sim/src/cluster/pmxcfs.ts';
import type { Host } from '../../../packages/sim/src/host/host.ts';
import { publishRunning } from '../../../packages/sim/src/host/running.ts';
import { type Ran, runHere } from './made-outcome.ts';
import { masked, maskedOutput } from './outcome.ts';
import type { Lab } from './recorded-host.ts';
import type { RecordedStep } from './recorded-step.ts';

const WAITING = 'trying to acquire lock...';

/** undefined: what happened to it from outside is not set up here. */
export async function groupStep(lab: Lab, step: RecordedStep): Promise<string[] | undefined> {
  const ran = await runInGroup(lab, step);
  if (ran === undefined) return undefined;
  const found: string[] = [];
  const compare = (what: string, recorded: unknown, made: unknown): void => {
    if (recorded !== made)
      found.push(`${what}: recorded ${JSON.stringify(recorded)}\n      made     ${JSON.stringify(made)}`);
  };
  compare('exit', step.exit, ran.exit);
  compare('stdout', maskedOutput(textOf(step.stdout)), maskedOutput(ran.stdout));
  compare('stderr', masked(textOf(step.stderr)), masked(ran.stderr));
  return found;
}

function textOf(text: RecordedStep['stdout']): string {
  return typeof text === 'string' ? text : `${text.head}${text.tail}`;
}

async function runInGroup(lab: Lab, step: RecordedStep): Promise<Ran | undefined> {
  const said = `${textOf(step.stdout)}${textOf(step.stderr)}`;
  const blow = blowOf(step);
  if (blow !== undefined) return struck(lab, step, blow);
  if ((step.exit ?? 0) < 0 || step.recorder_actions !== undefined) return undefined;
  if (isTakenLate(step)) return raced(lab, step);
  takeId(lab, step);
  const isUp = said.includes('container is running') || said.includes('problem with monitor socket');
  if (!said.includes(WAITING)) {
    if (isUp) startedByOther(lab, step);
    return runHere(lab.host, step.argv, step);
  }
  const path = lockOf(step);
  if (!said.includes(`${WAITING}\n OK`)) {
    turnSwitches(lab.host, { heldLocks: [path] });
    return runHere(lab.host, step.argv, step);
  }
  return whileHeld(lab, { step, path, onRelease: () => (isUp ? startedByOther(lab, step) : undefined) });
}

/** A start that ran beside it had its way first. */
function startedByOther({ host }: Lab, { argv }: RecordedStep): void {
  const vmid = Number(argv[2]);
  publishRunning(host, { vmid, kind: 'lxc', pid: 6_000_000 + vmid, since: Date.now(), isPlayed: true });
}

/** What was done to the command from outside, and where it was by then. */
interface Blow {
  readonly point: FaultPointName;
  readonly do: FaultAction;
  readonly signal: number;
  readonly isCut?: boolean;
}

function blowOf(step: RecordedStep): Blow | undefined {
  const told = (step.recorder_actions ?? []).map(([, text]) => text).join('\n');
  const point = pointOf(step, told);
  if (/link cut/.test(told)) return { point, do: 'hang', signal: 0, isCut: true };
  if (/SIGKILL to the (?:extraction )?tar/.test(told)) return { point: 'mid-extract', do: 'die-tar', signal: 0 };
  if (/pvesh delete of the task/.test(told)) return { point, do: 'hang', signal: 15 };
  const [, number, target] = /(?:signal (\d+)|SIGKILL) to (main|worker|both|pct)/.exec(told) ?? [];
  if (target === undefined) return undefined;
  const signal = Number(number ?? 9);
  // What is not told to end in an orderly way ends at once.
  if (signal !== 9 && (step.exit ?? 0) >= 0) return { point, do: 'hang', signal };
  const deaths = { worker: 'die-worker', main: 'die-front', pct: 'die-front', both: 'die' } as const;
  return { point, do: deaths[target as keyof typeof deaths], signal };
}

function pointOf({ argv, stdout }: RecordedStep, told: string): FaultPointName {
  if (/qemu-img/.test(told)) return 'after-lock';
  if (/mkfs/.test(told)) return 'mkfs';
  if (argv[1] === 'shutdown') return 'before-halt';
  if (argv[1] !== 'create' || textOf(stdout) === '') return 'begin';
  return textOf(stdout).includes('extracting archive') ? 'mid-extract' : 'listing';
}

async function struck({ host }: Lab, step: RecordedStep, blow: Blow): Promise<Ran> {
  const vmid = Number(step.argv[2]);
  setFaults(host, [{ at: 'pct', point: blow.point, do: blow.do }]);
  // The guests of these steps would not have ended by themselves.
  turnSwitches(host, { ignoreHalt: [vmid] });
  const stop = new AbortController();
  const given = { ...step, signal: stop.signal, ...(blow.do.startsWith('die') ? { diesOf: blow.signal } : {}) };
  const running = runHere(host, step.argv, given);
  if (blow.do !== 'hang') return running;
  await atFault(host);
  if (blow.isCut === true) {
    cutNode(host);
    waitForNotice(host);
    setFaults(host, []);
  } else stop.abort();
  return running;
}

async function atFault(host: Host): Promise<void> {
  await waitFor('the point of the fault', 60_000, () => faultsOf(host)[0]?.done);
}

/** The id was free when the command looked, and taken when it reserved it. */
function isTakenLate({ stderr }: RecordedStep): boolean {
  return /^unable to create CT \d+ - CT \d+ already exists/.test(textOf(stderr));
}

async function raced(lab: Lab, step: RecordedStep): Promise<Ran> {
  setFaults(lab.host, [{ at: 'pct create', point: 'before-lock', do: 'hang' }]);
  const running = runHere(lab.host, step.argv, step);
  await atFault(lab.host);
  takeId(lab, step);
  setFaults(lab.host, []);
  return running;
}

/** The winner of a race for an id stood in the cluster when this command looked. */
function takeId({ host }: Lab, { argv, stderr }: RecordedStep): void {
  const node = /CT \d+ already exists on node '(\w+)'/.exec(textOf(stderr))?.[1];
  if (node === undefined) return;
  const file = host.clusterPath(guestFile(node, 'lxc', Number(argv[2])));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, 'lock: create\n');
  syncCluster(host);
}

function lockOf({ argv }: RecordedStep): string {
  if (argv[0] === 'pvesm') return `/var/lock/pve-manager/pve-storage-${argv[2] ?? ''}`;
  return `/run/lock/lxc/pve-config-${argv[2] ?? ''}.lock`;
}

/** Another program has the lock and lets go as soon as this one says that it waits. */
interface Held {
  readonly step: RecordedStep;
  readonly path: string;
  readonly onRelease: () => void;
}

async function whileHeld({ host }: Lab, { step, path, onRelease }: Held): Promise<Ran> {
  const real = host.path(path);
  mkdirSync(dirname(real), { recursive: true });
  const holder = spawn('/usr/bin/flock', ['-x', real, 'sh', '-c', 'echo held; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  let isHeld = true;
  const release = (): void => {
    if (isHeld) onRelease();
    if (isHeld && holder.pid !== undefined && holder.exitCode === null) process.kill(-holder.pid, 'SIGKILL');
    isHeld = false;
  };
  await once(holder.stdout, 'data');
  turnSwitches(host, { waitScale: 1 }); // a wait that ends by itself
  try {
    return await runHere(host, step.argv, {
      ...step,
      onText: (text) => (text.includes(WAITING) ? release() : undefined),
    });
  } finally {
    release();
  }
}
