/** The controller's own parts over a synthetic fleet: a database file, the view, placement. No network, no agents. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_POLICY } from '@pxmgr/controller/domain/placement';
import { DEFAULT_LIMITS } from '@pxmgr/controller/execute/run-context';
import { buildWork, type Work } from '@pxmgr/controller/execute/work';
import { Registry } from '@pxmgr/controller/fleet/registry';
import { MetricsBoard } from '@pxmgr/controller/inventory/metrics';
import { View } from '@pxmgr/controller/inventory/view';
import type { AgentDoor } from '@pxmgr/controller/plan/agent-door';
import { NodeStore } from '@pxmgr/controller/store/nodes';
import { ObjectStore, type StoredObject } from '@pxmgr/controller/store/objects';
import { type Database, openDatabase } from '@pxmgr/controller/store/open';
import { createSeal, SEAL_KEY_BYTES } from '@pxmgr/controller/store/seal';
import { type Clock, createIdSource, systemClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { type FleetSize, type SyntheticNode, synthesise } from './fleet.ts';

/** Nobody falls silent while it is measured. */
const steady: Clock = { ...systemClock, monotonicMs: () => 0 };

export interface Stage {
  readonly folder: string;
  readonly database: Database;
  readonly registry: Registry;
  readonly view: View;
  readonly work: Work;
  close(): Promise<void>;
}

export function* sourcesOf(node: SyntheticNode): IterableIterator<StoredObject> {
  let revision = 0n;
  for (const { kind, id, hash, bytes } of node.objects) {
    revision += 1n;
    const position = { generation: 1n, revision };
    yield { nodeUid: node.uid, kind, id, hash, observedAt: new Date(0), position, deleted: false, document: bytes };
  }
}

export function addMember(registry: Registry, node: SyntheticNode): void {
  registry.add({
    uid: node.uid,
    name: node.name,
    address: '127.0.0.1:7450',
    natsPublicKey: `U${node.uid}`,
    certificateSerial: '01',
    certificateExpiresAt: new Date('2040-01-01'),
    agentVersion: '0.1.0',
    joinedAt: new Date(0),
    lastSeenAt: undefined,
    generation: 1n,
    revokedAt: undefined,
  });
  registry.hear(node.uid, { generation: 1n, address: '', agentVersion: '' });
}

/** Placements ask one agent what an image is; this one knows at once, so only our own work is measured. */
function knowingAgents(image: { digest: string }): AgentDoor {
  const door: Partial<AgentDoor> = {
    resolveImage: async (_uid, { reference }) =>
      await Promise.resolve({
        image: { reference, digest: image.digest, platform: 'linux/amd64', indexDigest: '', sizeBytes: 60_000_000n },
        config: undefined,
      } as Awaited<ReturnType<AgentDoor['resolveImage']>>),
  };
  return door as AgentDoor;
}

export function openStage(size: FleetSize, seed: number, image: { digest: string }): Stage {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-bench-'));
  const database = openDatabase(join(folder, 'controller.db'));
  const registry = new Registry(new NodeStore(database), steady, silentLogger());
  const objects = new ObjectStore(database);
  const view = new View(registry, new MetricsBoard(), objects);
  database.transaction(() => {
    for (const node of synthesise(size, seed)) {
      addMember(registry, node);
      for (const object of sourcesOf(node)) objects.put(object);
    }
  });
  for (const node of registry.list()) view.load(objects.ofNode(node.uid));
  const work = buildWork({
    database,
    seal: createSeal(randomBytes(SEAL_KEY_BYTES)),
    view,
    agents: knowingAgents(image),
    clock: steady,
    ids: createIdSource(),
    logger: silentLogger(),
    policy: DEFAULT_POLICY,
    vmids: { first: 100, last: 999_999 },
    planTtlMs: 3_600_000,
    keepMs: 3_600_000,
    limits: DEFAULT_LIMITS,
  });
  return {
    folder,
    database,
    registry,
    view,
    work,
    close: async () => {
      await work.stop();
      database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
