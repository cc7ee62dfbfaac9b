/**
 * The shipped programs as processes: a controller with its nats-server whose database holds the whole synthetic fleet,
 * the command line against it, and an agent that has nothing to do.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeStore } from '@pxmgr/controller/store/nodes';
import { ObjectStore } from '@pxmgr/controller/store/objects';
import { openDatabase } from '@pxmgr/controller/store/open';
import { systemClock } from '@pxmgr/kit/clock';
import { ControllerProcess } from '../../../deploy/stand/controller.ts';
import { Daemon } from '../../../deploy/stand/daemon.ts';
import { NodeProcess } from '../../../deploy/stand/node.ts';
import { bundle, StandDir } from '../../../deploy/stand/stand-dir.ts';
import { type FleetSize, synthesise } from '../fleet.ts';
import { type Measured, median, type Probe, type ProbeOptions, percentile, range } from '../probe.ts';
import { cpuSeconds, residentMb } from '../process-figures.ts';
import { sourcesOf } from '../stage.ts';

const START_LIMIT_MS = 60_000;
const READY = /"controller serves"/;

/** What the agents of the fleet would have told by now. */
function fillDatabase(file: string, size: FleetSize, seed: number): void {
  const database = openDatabase(file);
  const [nodes, objects] = [new NodeStore(database), new ObjectStore(database)];
  database.transaction(() => {
    for (const node of synthesise(size, seed)) {
      nodes.put({
        uid: node.uid,
        name: node.name,
        address: '127.0.0.1:1',
        natsPublicKey: `U${node.uid}`,
        certificateSerial: '01',
        certificateExpiresAt: new Date('2040-01-01'),
        agentVersion: '0.1.0',
        joinedAt: new Date(0),
        lastSeenAt: new Date(),
        generation: 1n,
        revokedAt: undefined,
      });
      for (const object of sourcesOf(node)) objects.put(object);
    }
  });
  database.close();
}

interface Started {
  readonly daemon: Daemon;
  readonly seconds: number;
}

async function startController(dir: StandDir, controller: ControllerProcess): Promise<Started> {
  const start = performance.now();
  const daemon = new Daemon(dir.runner, {
    name: 'pxmgr-controller',
    file: process.execPath,
    args: [bundle('pxmgr-controller'), '--config', controller.configFile],
    logFile: join(dir.logs, `controller-${String(Math.round(start))}.log`),
  });
  await daemon.line(READY, START_LIMIT_MS);
  return { daemon, seconds: (performance.now() - start) / 1000 };
}

async function warmStarts(
  dir: StandDir,
  controller: ControllerProcess,
  rounds: number,
): Promise<{ times: number[]; last: Daemon }> {
  const times: number[] = [];
  for (;;) {
    const { daemon, seconds } = await startController(dir, controller);
    times.push(seconds);
    if (times.length === rounds) return { times, last: daemon };
    await daemon.stop();
  }
}

/** What Node alone takes here and now: no program of ours can be faster. */
async function bareNode(dir: StandDir, rounds: number): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    await dir.runner.run({ file: process.execPath, args: ['-e', '0'], purpose: 'start Node', timeoutMs: 10_000 });
    times.push(performance.now() - start);
  }
  return median(times);
}

/** Wall time of the whole process, start of Node included. */
async function listTimes(controller: ControllerProcess, rounds: number): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const node = `pve${String(round + 1).padStart(5, '0')}`;
    const start = performance.now();
    await controller.cli.text(['container', 'list', '--node', node]);
    times.push(performance.now() - start);
  }
  return times;
}

async function controllerRun({ seed, quick, say }: ProbeOptions): Promise<readonly Measured[]> {
  const size = quick ? { hosts: 100, guests: 10_000 } : { hosts: 1000, guests: 100_000 };
  const dir = new StandDir(mkdtempSync(join(tmpdir(), 'pxmgr-bench-')));
  const controller = await ControllerProcess.create(dir);
  let running: Daemon | undefined;
  try {
    await (await startController(dir, controller)).daemon.stop();
    fillDatabase(join(controller.stateDir, 'controller.db'), size, seed);
    const { times, last } = await warmStarts(dir, controller, quick ? 2 : 5);
    running = last;
    say(`started in ${range(times, 2)} s`);
    const said = `${String(size.hosts)} hosts, ${String(size.guests)} guests`;
    await systemClock.sleep(2000);
    const idleMb = residentMb(last.pid);
    const lists = await listTimes(controller, quick ? 5 : 40);
    const perNode = String(size.guests / size.hosts);
    return [
      {
        name: 'warm-start',
        value: median(times),
        detail: `${said}, nats-server included, rounds ${range(times, 2)} s`,
      },
      {
        name: 'controller-memory',
        value: idleMb,
        detail: `${said}, after start; ${residentMb(last.pid).toFixed(0)} MB after ${String(lists.length)} lists; nats-server not included`,
      },
      {
        name: 'cli-list',
        value: percentile(lists, 99),
        detail: `${perNode} guests of one host out of ${String(size.guests)}, ${String(lists.length)} processes, p50 ${median(lists).toFixed(0)} ms; "node -e 0" p50 ${(await bareNode(dir, 10)).toFixed(0)} ms`,
      },
    ];
  } finally {
    await running?.stop();
    rmSync(dir.root, { recursive: true, force: true });
  }
}

export const controllerProcess: Probe = { names: ['warm-start', 'controller-memory', 'cli-list'], run: controllerRun };

const GIB = 1024 ** 3;

async function agentRun({ quick }: ProbeOptions): Promise<readonly Measured[]> {
  const dir = new StandDir(mkdtempSync(join(tmpdir(), 'pxmgr-bench-')));
  const controller = await ControllerProcess.create(dir);
  let node: NodeProcess | undefined;
  try {
    await controller.start();
    const host = { name: 'pve1', cores: 8, memoryBytes: 32 * GIB, runtime: 'played' as const };
    node = await NodeProcess.create({ dir, controller, host, agent: { log_level: 'info' } });
    await node.join(await controller.cli.text(['node', 'token', 'create', '--node', node.name]));
    await node.start();
    await systemClock.sleep(quick ? 2000 : 10_000);
    const seconds = quick ? 5 : 60;
    const [before, start] = [cpuSeconds(node.pid), performance.now()];
    await systemClock.sleep(seconds * 1000);
    const percent = ((cpuSeconds(node.pid) - before) * 100_000) / (performance.now() - start);
    return [
      { name: 'agent-memory', value: residentMb(node.pid), detail: 'connected, empty stand-in host' },
      { name: 'agent-cpu', value: percent, detail: `over ${String(seconds)} s, of one core` },
    ];
  } finally {
    await node?.powerOff();
    await controller.stop();
    rmSync(dir.root, { recursive: true, force: true });
  }
}

export const idleAgent: Probe = { names: ['agent-memory', 'agent-cpu'], run: agentRun };
