/**
 * One of several commands that ran at the same time. The recording tells their effects for the group as a whole, so only
 * status and streams are compared. What the others did to this one is set up in the order that the recording shows: an
 * id that was taken first, a lock that was held when it came and let go (or not) while it waited.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setFaults } from '../../../packages/sim/src/fault.ts';
import { guestFile, syncCluster } from '../../../packages/sim/src/pmxcfs.ts';
import { turnSwitches } from '../../../packages/sim/src/switches.ts';
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
  if (isKilledBeforeFork(step)) return killedAtBegin(lab, step);
  if ((step.exit ?? 0) < 0 || step.recorder_actions !== undefined) return undefined;
  takeId(lab, step);
  if (!said.includes(WAITING)) return runHere(lab.host, step.argv, step);
  const path = lockOf(step);
  if (!said.includes(`${WAITING}\n OK`)) {
    turnSwitches(lab.host, { heldLocks: [path] });
    return runHere(lab.host, step.argv, step);
  }
  return whileHeld(lab, step, path);
}

/** Killed while Perl was still loading: nothing had begun, and nothing was said. */
function isKilledBeforeFork({ exit, stdout, recorder_actions: actions }: RecordedStep): boolean {
  return exit === -9 && stdout === '' && actions?.some(([, text]) => /(?:SIGKILL|signal 9) to pct/.test(text)) === true;
}

async function killedAtBegin({ host }: Lab, step: RecordedStep): Promise<Ran> {
  setFaults(host, [{ at: 'pct', point: 'begin', do: 'die' }]);
  return runHere(host, step.argv, { ...step, isMortal: true });
}

/** The winner of a race for an id stood in the cluster when this command looked. */
function takeId({ host }: Lab, { argv, stderr }: RecordedStep): void {
  const node = /^CT \d+ already exists on node '(\w+)'/.exec(textOf(stderr))?.[1];
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
async function whileHeld({ host }: Lab, step: RecordedStep, path: string): Promise<Ran> {
  const real = host.path(path);
  mkdirSync(dirname(real), { recursive: true });
  const holder = spawn('/usr/bin/flock', ['-x', real, 'sh', '-c', 'echo held; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  let isHeld = true;
  const release = (): void => {
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
