/**
 * From a change on a host to the answer of a query: a controller, an agent and a stand-in host as processes. Changes are
 * writes to a guest's configuration and guests that start or stop, made here without a tool's own time.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContainerDocument } from '@pxmgr/contract/common';
import { InventoryServiceClient } from '@pxmgr/contract/controller';
import { systemClock } from '@pxmgr/kit/clock';
import { type Channel, createChannel } from '@pxmgr/kit/rpc/channel';
import { syncCluster } from '@pxmgr/sim/cluster/pmxcfs';
import { publishStopped } from '@pxmgr/sim/host/running';
import { playGuests } from '@pxmgr/sim/runtime/played';
import { ControllerProcess } from '../../../deploy/stand/controller.ts';
import { NodeProcess } from '../../../deploy/stand/node.ts';
import { StandDir } from '../../../deploy/stand/stand-dir.ts';
import { type Measured, median, type Probe, type ProbeOptions, percentile } from '../probe.ts';

const GIB = 1024 ** 3;
const VMID = 101;
/** Between two queries: its share of the figure is small. */
const QUERY_EVERY_MS = 3;
const LIMIT_MS = 30_000;
/** Changes come at any moment of the agent's polling. */
const PAUSE_MS = 173;

async function visible(channel: Channel, isThere: (container: ContainerDocument) => boolean): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (performance.now() < end) {
    const request = { kind: 'container', key: String(VMID), node: '' };
    const answer = await channel
      .call(channel.client(InventoryServiceClient), 'getInventory', request)
      .catch(() => undefined);
    const inner = answer?.object?.document?.document;
    if (inner?.$case === 'container' && isThere(inner.value)) return;
    await systemClock.sleep(QUERY_EVERY_MS);
  }
  throw new Error(`a change was not visible after ${String(LIMIT_MS)} ms`);
}

/** One change after the other, each until it is visible; in milliseconds. */
async function times(node: NodeProcess, channel: Channel, rounds: number): Promise<number[]> {
  const { host } = node;
  const file = host.clusterPath('nodes', host.name, 'lxc', `${String(VMID)}.conf`);
  const config = 'arch: amd64\ncores: 1\nmemory: 512\nostype: unmanaged\nunprivileged: 1\n';
  writeFileSync(file, config);
  syncCluster(host);
  await visible(channel, () => true);
  const found: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await systemClock.sleep(PAUSE_MS + ((round * 37) % 200));
    const start = performance.now();
    const kind = round % 4;
    if (kind === 1) playGuests(host, [{ vmid: VMID, kind: 'lxc', values: new Map(), since: 0 }]);
    else if (kind === 3) publishStopped(host, VMID);
    else {
      writeFileSync(file, `${config}hostname: r${String(round)}\n`);
      syncCluster(host);
    }
    const isThere = (container: ContainerDocument): boolean => {
      if (kind === 1) return container.status === 'running';
      return kind === 3 ? container.status === 'stopped' : container.name === `r${String(round)}`;
    };
    await visible(channel, isThere);
    found.push(performance.now() - start);
  }
  if (!readFileSync(file, 'utf8').startsWith(config)) throw new Error('somebody else wrote the configuration');
  return found;
}

async function run({ quick }: ProbeOptions): Promise<readonly Measured[]> {
  const dir = new StandDir(mkdtempSync(join(tmpdir(), 'pxmgr-bench-')));
  const controller = await ControllerProcess.create(dir);
  let node: NodeProcess | undefined;
  let channel: Channel | undefined;
  try {
    await controller.start();
    const host = { name: 'pve1', cores: 8, memoryBytes: 32 * GIB, runtime: 'played' as const };
    node = await NodeProcess.create({ dir, controller, host, agent: { log_level: 'info' } });
    await node.join(await controller.cli.text(['node', 'token', 'create', '--node', node.name]));
    await node.start();
    channel = createChannel({ address: `unix:${controller.socket}` });
    const all = await times(node, channel, quick ? 20 : 200);
    const seconds = (percent: number): string => (percentile(all, percent) / 1000).toFixed(3);
    return [
      {
        name: 'change-visible',
        value: percentile(all, 99) / 1000,
        detail: `${String(all.length)} changes of configuration and run state, p50 ${(median(all) / 1000).toFixed(3)} s, p90 ${seconds(90)} s, worst ${seconds(100)} s`,
      },
    ];
  } finally {
    channel?.close();
    await node?.powerOff();
    await controller.stop();
    rmSync(dir.root, { recursive: true, force: true });
  }
}

export const changeVisible: Probe = { names: ['change-visible'], run };
