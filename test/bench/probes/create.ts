/**
 * A container from an image, ordered with the command line, on one stand-in host with ZFS: what we add to the time of
 * `pct create`, and how long the second guest of an image takes. Guests are played, so nothing boots.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRegistry } from '../../../deploy/demo/fleet.ts';
import { furnish, HOSTS } from '../../../deploy/demo/furnish.ts';
import { ControllerProcess } from '../../../deploy/stand/controller.ts';
import { NodeProcess } from '../../../deploy/stand/node.ts';
import { StandDir } from '../../../deploy/stand/stand-dir.ts';
import { type Measured, median, type Probe, type ProbeOptions, range } from '../probe.ts';

/** The host with a pool. */
const HOST = 'pve2';

interface OperationRow {
  readonly startedAt: string;
  readonly endedAt: string;
}

interface CommandRow {
  readonly argv: readonly string[];
  readonly ms: number;
  /** Absent for what the inventory asks beside it. */
  readonly op?: string;
}

interface Created {
  readonly wallMs: number;
  /** From the start of the operation to its end, by the controller's clock. */
  readonly operationMs: number;
  readonly pctCreateMs: number;
  /** All programs that ran for it on the host, the one above included. */
  readonly commandsMs: number;
  readonly commands: number;
}

interface Stand {
  readonly controller: ControllerProcess;
  readonly node: NodeProcess;
  readonly image: string;
}

function commandsOf(node: NodeProcess): CommandRow[] {
  const lines = readFileSync(node.commandLog, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as CommandRow);
}

async function create({ controller, node, image }: Stand, name: string): Promise<Created> {
  const before = commandsOf(node).length;
  const start = performance.now();
  const wish = ['--name', name, '--storage', 'local-zfs', '--ready', 'none'];
  await controller.cli.text(['container', 'create', image, ...wish]);
  const wallMs = performance.now() - start;
  const [operation] = await controller.cli.json<OperationRow[]>(['operation', 'list']);
  if (operation === undefined) throw new Error('no operation');
  const ran = commandsOf(node)
    .slice(before)
    .filter(({ op }) => op !== undefined);
  const sum = (rows: readonly CommandRow[]): number => rows.reduce((total, row) => total + row.ms, 0);
  return {
    wallMs,
    operationMs: Date.parse(operation.endedAt) - Date.parse(operation.startedAt),
    pctCreateMs: sum(ran.filter(({ argv }) => argv[0]?.endsWith('pct') === true && argv[1] === 'create')),
    commandsMs: sum(ran),
    commands: ran.length,
  };
}

async function measure(stand: Stand, rounds: number): Promise<readonly Measured[]> {
  const first = await create(stand, 'first');
  const rest: Created[] = [];
  for (let round = 0; round < rounds; round += 1) rest.push(await create(stand, `next-${String(round)}`));
  const middle = (of: (one: Created) => number): number => median(rest.map(of));
  const ownMs = middle((one) => one.operationMs - one.commandsMs);
  const otherMs = middle((one) => one.commandsMs - one.pctCreateMs);
  const pctMs = middle((one) => one.pctCreateMs);
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  return [
    {
      name: 'create-overhead',
      value: (ownMs * 100) / pctMs,
      detail: `of the stand-in's pct create (${ms(pctMs)}): ${ms(ownMs)} of ours, besides ${ms(otherMs)} of other programs (${String(rest[0]?.commands)} programs a guest)`,
    },
    {
      name: 'second-guest',
      value: middle((one) => one.wallMs) / 1000,
      detail: `${String(rounds)} guests, ${range(
        rest.map((one) => one.wallMs / 1000),
        2,
      )} s with the command line, operation ${ms(middle((one) => one.operationMs))}; the first, with its image pulled, ${(first.wallMs / 1000).toFixed(2)} s`,
    },
  ];
}

async function run({ quick }: ProbeOptions): Promise<readonly Measured[]> {
  const dir = new StandDir(mkdtempSync(join(tmpdir(), 'pxmgr-bench-')));
  const spec = HOSTS.find(({ name }) => name === HOST);
  if (spec === undefined) throw new Error(`no host ${HOST}`);
  const controller = await ControllerProcess.create(dir);
  const { registry, image } = await startRegistry(dir);
  let node: NodeProcess | undefined;
  try {
    await controller.start();
    node = await NodeProcess.create({
      dir,
      controller,
      host: { ...spec, runtime: 'played' },
      agent: { insecure_registries: [registry.address], registry_auth_file: registry.authFile, log_level: 'info' },
    });
    await furnish(node);
    await node.join(await controller.cli.text(['node', 'token', 'create', '--node', node.name]));
    await node.start();
    return await measure({ controller, node, image }, quick ? 2 : 10);
  } finally {
    await node?.powerOff();
    await controller.stop();
    await registry.stop();
    rmSync(dir.root, { recursive: true, force: true });
  }
}

export const createContainer: Probe = { names: ['create-overhead', 'second-guest'], run };
