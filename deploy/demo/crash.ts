/** An agent killed with SIGKILL in the middle of a create, restarted, and what is left. */
import { existsSync, readdirSync } from 'node:fs';
import { faultsOf, setFaults } from '@pxmgr/sim/call/fault';
import type { NodeProcess } from '../stand/node.ts';
import { waitFor } from '../stand/wait.ts';
import type { Fleet } from './fleet.ts';
import { probeOf, type Runtime } from './furnish.ts';
import type { Narrator } from './narrator.ts';

const LIMIT_MS = 60_000;

interface OperationView {
  readonly id: string;
  readonly state: string;
  readonly vmid: number;
  readonly recovery: string;
}

/** What a half-made guest would leave on its host. */
export function leftovers(node: NodeProcess, vmid: number): string[] {
  const { host } = node;
  const found: string[] = [];
  const listing = (path: string): string[] => (existsSync(host.path(path)) ? readdirSync(host.path(path)) : []);
  if (listing('/etc/pve/lxc').includes(`${vmid}.conf`)) found.push(`configuration ${vmid}.conf`);
  for (const name of listing(`/var/lib/vz/images/${vmid}`)) found.push(`volume ${name}`);
  for (const name of listing('/etc/pve/lxc').filter((entry) => entry.includes('.tmp')))
    found.push(`temporary file ${name}`);
  for (const name of listing('/var/lib/vz/template/cache').filter((entry) => !entry.endsWith('.tar')))
    found.push(`temporary file ${name}`);
  return found;
}

export async function killInTheMiddle(fleet: Fleet, narrator: Narrator, runtime: Runtime): Promise<void> {
  const { cli } = fleet.controller;
  const node = fleet.nodes.find((candidate) => candidate.name === 'pve1');
  if (node === undefined) throw new Error('the demo has a node pve1');
  narrator.chapter('kill -9 in the middle of a create');
  setFaults(node.host, [{ at: 'pct create', point: 'mid-extract', do: 'delay', delayMs: 3000 }]);
  const started = await narrator.run(cli, [
    'run',
    fleet.image,
    '--name',
    'second',
    '--node',
    'pve1',
    '--ready',
    probeOf(runtime),
    '--detach',
    '-o',
    'name',
  ]);
  const id = started.stdout.trim();
  await waitFor('pct create unpacks the image', LIMIT_MS, () =>
    faultsOf(node.host).some((fault) => (fault.done ?? 0) > 0) ? true : undefined,
  );
  await node.kill();
  narrator.say(`pct create was unpacking the image on pve1 when its agent got SIGKILL.`);
  narrator.quote('on pve1: pct list', await node.tool('pct', 'list'));
  narrator.say('\nThe agent starts again, reads its journal, and the controller goes on:');
  await node.start();
  await narrator.run(cli, ['operation', 'watch', id]);
  const operation = await cli.json<OperationView>(['operation', 'get', id]);
  await narrator.run(cli, ['container', 'list']);
  await narrator.run(cli, ['reservation', 'list']);
  await narrator.run(cli, ['container', 'destroy', 'second', '--force', '--yes']);
  const left = leftovers(node, operation.vmid);
  if (left.length > 0) throw new Error(`left behind on pve1: ${left.join(', ')}`);
  narrator.say('Nothing is left on pve1: no configuration, no volume, no temporary file, no lock, no reservation.');
}
