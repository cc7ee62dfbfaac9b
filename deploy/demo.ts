/**
 * `npm run demo`: the main job end to end, with real parts (controller, nats-server, SQLite, agents, registry, skopeo,
 * LXC where the machine can) on three stand-in Proxmox hosts. Ends by itself; `--keep` leaves the fleet running.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killInTheMiddle } from './demo/crash.ts';
import { type Fleet, makeNodes, startRegistry, stopFleet } from './demo/fleet.ts';
import { runtimeHere } from './demo/furnish.ts';
import { Narrator } from './demo/narrator.ts';
import { explainPlacement, lookInside, refuse, runGuest, showFleet, showHistory, tidyUp } from './demo/story.ts';
import { ControllerProcess } from './stand/controller.ts';
import { StandDir } from './stand/stand-dir.ts';

/** As shells tell a program that Ctrl-C ended. */
const INTERRUPTED = 130;
const keep = process.argv.includes('--keep');
const write = (text: string): void => void process.stdout.write(text);
const interruption = new AbortController();
const narrator = new Narrator(write, () => interruption.signal.throwIfAborted());
/** For the end, which is told in any case. */
const closing = new Narrator(write);
// Of one Ctrl-C the signal may come twice, from the terminal and from npm; everything has to be stopped all the same.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => interruption.abort(new Error(`stopped by ${signal}`)));

async function setUp(fleet: Partial<Fleet> & { dir: StandDir }): Promise<Fleet> {
  const runtime = await runtimeHere();
  narrator.chapter('Setting up: registry, controller with nats-server, three hosts with agents');
  narrator.say(
    runtime.kind === 'lxc'
      ? 'Containers are really started on this machine, with LXC.'
      : `Containers are only played on this machine: ${runtime.reason}.`,
  );
  const { registry, image } = await startRegistry(fleet.dir);
  Object.assign(fleet, { registry, image });
  narrator.say(`registry at ${registry.address} with a password, image ${image} pushed with skopeo`);
  const controller = await ControllerProcess.create(fleet.dir);
  Object.assign(fleet, { controller });
  await controller.start();
  narrator.say('controller up, nats-server supervised by it, certificate authority made');
  const nodes = await makeNodes(fleet.dir, controller, registry);
  Object.assign(fleet, { nodes });
  for (const node of nodes) {
    await node.join(await controller.cli.text(['node', 'token', 'create', '--node', node.name]));
    await node.start();
    narrator.say(`${node.name} joined with a one-time token and sent its first inventory`);
  }
  return { dir: fleet.dir, controller, registry, nodes, image };
}

async function tell(fleet: Fleet): Promise<void> {
  const runtime = await runtimeHere();
  await showFleet(fleet, narrator);
  await explainPlacement(fleet, narrator);
  await runGuest(fleet, narrator, runtime);
  await lookInside(fleet, narrator, runtime);
  await showHistory(fleet, narrator);
  await refuse(fleet, narrator);
  await killInTheMiddle(fleet, narrator, runtime);
}

function farewell(fleet: Fleet): void {
  narrator.chapter('The fleet goes on running');
  narrator.say(`Use it from another terminal, in this checkout:

  export PXMGR_CONTROLLER=unix:${fleet.controller.socket}
  npx pxmgr status
  npx pxmgr container list
  npx pxmgr run ${fleet.image} --name third --dry-run --show-commands

Logs are in ${fleet.dir.logs}; every command that ran on a host is in commands-<host>.jsonl there.
Ctrl-C here stops everything and removes it.`);
}

function next(): void {
  closing.say(`
What you saw ran the shipped programs: pxmgr, pxmgr-controller and three pxmgr-agent processes.
Try next:
  npm run demo -- --keep     leave the fleet running and use the command line yourself
  npm test                   all tests
  docs/install.md            install it on real Proxmox hosts`);
}

/** Rejects with the reason. */
function interrupted(): Promise<never> {
  const { signal } = interruption;
  return new Promise((_resolve, reject) => {
    const end = (): void => reject(signal.reason as Error);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end);
  });
}

async function main(): Promise<number> {
  const dir = new StandDir(mkdtempSync(join(tmpdir(), 'pxmgr-demo-')));
  const fleet: Partial<Fleet> & { dir: StandDir } = { dir };
  let failure: unknown;
  try {
    // Never left alone: a step that goes on beside the stopping would start what nobody stops any more.
    const whole = await setUp(fleet);
    await tell(whole);
    if (keep) {
      farewell(whole);
      await interrupted();
    } else await tidyUp(whole, narrator);
  } catch (error) {
    failure = error;
  }
  closing.chapter('Stopping');
  const problems = await stopFleet(fleet);
  for (const problem of problems) closing.say(problem);
  // What was under way may end with an error of its own then.
  const isStopped = interruption.signal.aborted;
  if (failure !== undefined && !isStopped) {
    process.stderr.write(
      `\nthe demo failed: ${failure instanceof Error ? failure.message : 'for no known reason'}\nlogs are kept in ${dir.logs}\n`,
    );
    return 1;
  }
  rmSync(dir.root, { recursive: true, force: true });
  closing.say('Everything is stopped and removed.');
  if (problems.length > 0) return 1;
  // With --keep there is no other end.
  if (keep) return 0;
  if (isStopped) return INTERRUPTED;
  next();
  return 0;
}

process.exit(await main());
