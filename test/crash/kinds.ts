/** One row for each kind of operation that the agent knows: how to come to it, how to order it, how to clean up. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Device, type Order, SetOptions } from '@pxmgr/contract/common';
import { readPools } from '@pxmgr/sim/pool/state';
import { TEMPLATE } from '../support/small-template.ts';
import { type AgentBench, type Subject, specOf } from './agent-bench.ts';

export interface Scenario {
  readonly kind: string;
  /** Beyond the kind, where one has several rows. */
  readonly variant?: string;
  readonly vmid: number;
  /** Brings the host to where the order makes sense. */
  readonly prepare: (bench: AgentBench, subject: Subject) => Promise<void>;
  readonly order: (bench: AgentBench, subject: Subject, order: Order) => Promise<void>;
  /** Back to where `prepare` began; `isDone`: the operation reached its goal. */
  readonly cleanUp: (bench: AgentBench, subject: Subject, isDone: boolean) => Promise<void>;
}

const fromTemplate = specOf({
  storage: 'local',
  source: { $case: 'template', value: { volumeId: TEMPLATE } },
  mounts: [{ target: '/data', source: { $case: 'volume', value: { storage: '', sizeBytes: 1024n ** 3n } } }],
});

async function make(bench: AgentBench, subject: Subject): Promise<void> {
  await bench.succeed((order) => bench.create(order, subject, fromTemplate));
}

async function run(bench: AgentBench, subject: Subject): Promise<void> {
  await make(bench, subject);
  await bench.succeed((order) => bench.verb(order, subject, 'start'));
}

const SNAPSHOT = { name: 'before', description: '' };

/** Directories have no snapshots. */
async function makeOnZfs(bench: AgentBench, subject: Subject): Promise<void> {
  const spec = specOf({ source: { $case: 'template', value: { volumeId: TEMPLATE } } });
  await bench.succeed((order) => bench.create(order, subject, spec));
}

async function runOnZfs(bench: AgentBench, subject: Subject): Promise<void> {
  await makeOnZfs(bench, subject);
  await bench.succeed((order) => bench.verb(order, subject, 'start'));
}

async function snapshot(bench: AgentBench, subject: Subject): Promise<void> {
  await runOnZfs(bench, subject);
  await takeSnapshot(bench, subject);
}

async function takeSnapshot(bench: AgentBench, subject: Subject): Promise<void> {
  await bench.succeed((order) => bench.change(order, subject, { $case: 'createSnapshot', value: SNAPSHOT }));
}

/** What a rollback takes away again. */
function writeNewer({ node }: AgentBench, { vmid }: Subject): void {
  const volume = readPools(node.host).datasets.find(({ name }) => name.endsWith(`/subvol-${vmid}-disk-0`));
  if (volume?.mountedAt === undefined) throw new Error(`the volume of ${vmid} is not mounted`);
  writeFileSync(join(node.host.path(volume.mountedAt), 'newer'), '');
}

/** The card of pve2. */
const DEVICES = [Device.fromPartial({ path: '/dev/dri/by-path/pci-0000:03:00.0-render', groups: ['video'] })];

async function attach(bench: AgentBench, subject: Subject): Promise<void> {
  await make(bench, subject);
  await bench.succeed((order) =>
    bench.change(order, subject, { $case: 'attachDevices', value: { gpu: undefined, devices: DEVICES } }),
  );
}

async function destroy(bench: AgentBench, subject: Subject): Promise<void> {
  await bench.succeed((order) => bench.verb(order, subject, 'destroy'));
}

/** What the clones are clones of. */
const SOURCE: Subject = { vmid: 213, guestUid: '5'.repeat(32) };

function cloneRow(variant: string, full: boolean): Scenario {
  return {
    kind: 'container.clone',
    variant,
    vmid: full ? 214 : 215,
    prepare: async (bench) => {
      if (full) await make(bench, SOURCE);
      else {
        await makeOnZfs(bench, SOURCE);
        await bench.node.tool('pct', 'template', String(SOURCE.vmid));
      }
    },
    order: (bench, subject, order) => bench.clone(order, subject, { source: SOURCE, full }),
    cleanUp: async (bench, subject, isDone) => {
      if (isDone) await destroy(bench, subject);
      await destroy(bench, SOURCE);
    },
  };
}

const nothing = (): Promise<void> => Promise.resolve();

/** As if the image had never been here; the agent reads its records when it starts. */
async function forgetImage(bench: AgentBench): Promise<void> {
  await bench.node.kill();
  for (const folder of ['records', 'layouts', 'blobs']) rmSync(join(bench.node.stateDir, 'images', folder), GONE);
  rmSync(join(bench.node.host.path('/var/lib/vz/template/cache'), archiveOf(bench)), GONE);
  await bench.restart();
}

const GONE = { recursive: true, force: true } as const;

/** See archiveName of the agent. */
function archiveOf({ image }: AgentBench): string {
  return `web_1.0-amd64-${image.digest.slice('sha256:'.length).slice(0, 12)}.tar`;
}

export const SCENARIOS: readonly Scenario[] = [
  {
    kind: 'image.pull',
    vmid: 200,
    prepare: async (bench) => {
      if (bench.hasImage) await forgetImage(bench);
    },
    order: (bench, _subject, order) => bench.pull(order),
    cleanUp: (bench) => forgetImage(bench),
  },
  {
    kind: 'container.create',
    variant: 'from an image',
    vmid: 201,
    prepare: async (bench) => {
      await bench.succeed((order) => bench.pull(order));
    },
    order: (bench, subject, order) =>
      bench.create(
        order,
        subject,
        specOf({
          source: { $case: 'image', value: bench.image },
          mounts: [{ target: '/media', source: { $case: 'dataset', value: 'tank/media' } }],
        }),
      ),
    cleanUp: async (bench, subject, isDone) => {
      if (isDone) await destroy(bench, subject);
    },
  },
  {
    kind: 'container.create',
    variant: 'from a template',
    vmid: 202,
    prepare: nothing,
    order: (bench, subject, order) => bench.create(order, subject, fromTemplate),
    cleanUp: async (bench, subject, isDone) => {
      if (isDone) await destroy(bench, subject);
    },
  },
  cloneRow('of a container', true),
  cloneRow('of a template', false),
  {
    kind: 'container.start',
    vmid: 203,
    prepare: make,
    order: (bench, subject, order) => bench.verb(order, subject, 'start'),
    cleanUp: destroy,
  },
  {
    kind: 'container.shutdown',
    vmid: 204,
    prepare: run,
    order: (bench, subject, order) => bench.verb(order, subject, 'shutdown'),
    cleanUp: destroy,
  },
  {
    kind: 'container.stop',
    vmid: 205,
    prepare: run,
    order: (bench, subject, order) => bench.verb(order, subject, 'stop'),
    cleanUp: destroy,
  },
  {
    kind: 'container.destroy',
    vmid: 206,
    prepare: run,
    order: (bench, subject, order) => bench.verb(order, subject, 'destroy'),
    cleanUp: async (bench, subject, isDone) => {
      if (!isDone) await destroy(bench, subject);
    },
  },
  {
    kind: 'container.snapshot.create',
    vmid: 207,
    prepare: runOnZfs,
    order: (bench, subject, order) => bench.change(order, subject, { $case: 'createSnapshot', value: SNAPSHOT }),
    cleanUp: destroy,
  },
  {
    kind: 'container.snapshot.rollback',
    vmid: 208,
    prepare: snapshot,
    order: (bench, subject, order) => bench.change(order, subject, { $case: 'rollbackSnapshot', value: SNAPSHOT }),
    cleanUp: destroy,
  },
  {
    kind: 'container.snapshot.rollback',
    variant: 'of a stopped container',
    vmid: 216,
    prepare: async (bench, subject) => {
      await makeOnZfs(bench, subject);
      await takeSnapshot(bench, subject);
      writeNewer(bench, subject);
    },
    order: (bench, subject, order) => bench.change(order, subject, { $case: 'rollbackSnapshot', value: SNAPSHOT }),
    cleanUp: destroy,
  },
  {
    kind: 'container.snapshot.destroy',
    vmid: 209,
    prepare: snapshot,
    order: (bench, subject, order) => bench.change(order, subject, { $case: 'destroySnapshot', value: SNAPSHOT }),
    cleanUp: destroy,
  },
  {
    kind: 'device.attach',
    vmid: 210,
    prepare: make,
    order: (bench, subject, order) =>
      bench.change(order, subject, { $case: 'attachDevices', value: { gpu: undefined, devices: DEVICES } }),
    cleanUp: destroy,
  },
  {
    kind: 'device.detach',
    vmid: 211,
    prepare: attach,
    order: (bench, subject, order) =>
      bench.change(order, subject, { $case: 'detachDevices', value: { devices: DEVICES } }),
    cleanUp: destroy,
  },
  {
    kind: 'container.set',
    vmid: 212,
    prepare: make,
    order: (bench, subject, order) =>
      bench.change(order, subject, { $case: 'setOptions', value: SetOptions.fromPartial({ cores: 2, onBoot: true }) }),
    cleanUp: destroy,
  },
  {
    kind: 'container.set',
    variant: 'of a running container',
    vmid: 217,
    prepare: run,
    order: (bench, subject, order) =>
      bench.change(order, subject, { $case: 'setOptions', value: SetOptions.fromPartial({ name: 'renamed' }) }),
    cleanUp: destroy,
  },
];
