import { inventorySubject } from '@pxmgr/contract';
import type { Clock } from '@pxmgr/kit/clock';
import type { Registry } from '../fleet/registry.ts';
import type { Repair } from '../inventory/repair.ts';
import type { AuditStore } from '../store/audit.ts';
import type { ChangeStore } from '../store/changes.ts';
import type { ObjectStore } from '../store/objects.ts';
import type { Database } from '../store/open.ts';
import type { TokenStore } from '../store/tokens.ts';
import type { Loop } from './driver.ts';

export interface LoopParts {
  readonly clock: Clock;
  readonly database: Database;
  readonly registry: Registry;
  readonly repair: Repair;
  readonly objects: ObjectStore;
  readonly changes: ChangeStore;
  readonly audit: AuditStore;
  readonly tokens: TokenStore;
  readonly busAnswers: () => Promise<boolean>;
  readonly purge: (subject: string) => Promise<void>;
  readonly changeRetentionMs: number;
  readonly auditRetentionMs: number;
}

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
/** A used token is remembered so long, so that a replay hears "used" and not "unknown". */
const TOKEN_MEMORY_MS = 30 * DAY;
const TOMBSTONE_MS = DAY;
/** Rows per transaction: retention must not hold up ingest. */
const BITE = 1000;

/** The loops of fleet and inventory. */
export function fleetLoops(parts: LoopParts): Loop[] {
  return [...presenceLoops(parts), ...retentionLoops(parts)];
}

function presenceLoops(parts: LoopParts): Loop[] {
  return [
    {
      name: 'presence',
      description: 'notices nodes that fell silent',
      periodMs: SECOND,
      run: async () => {
        if (await parts.busAnswers()) parts.registry.attend();
        parts.registry.sweep();
      },
    },
    {
      name: 'sightings',
      description: 'writes when nodes were last heard of',
      periodMs: 10 * SECOND,
      run: () => {
        parts.database.transaction(() => parts.registry.save());
      },
    },
    {
      name: 'repair',
      description: 'closes gaps in the inventory',
      periodMs: 200,
      run: () => {
        parts.repair.tick();
      },
    },
  ];
}

function retentionLoops(parts: LoopParts): Loop[] {
  const ago = (ms: number): Date => new Date(parts.clock.now().getTime() - ms);
  return [
    {
      name: 'tokens',
      description: 'forgets join tokens long expired',
      periodMs: HOUR,
      run: () => {
        parts.tokens.prune(ago(TOKEN_MEMORY_MS));
      },
    },
    {
      name: 'audit',
      description: 'removes old audit rows',
      periodMs: HOUR,
      run: () => {
        parts.audit.prune(ago(parts.auditRetentionMs));
      },
    },
    {
      name: 'changes',
      description: 'removes old changes',
      periodMs: HOUR,
      run: async (signal) => {
        await pruneChanges(parts, ago(parts.changeRetentionMs), signal);
      },
    },
    {
      name: 'tombstones',
      description: 'forgets objects gone for a day',
      periodMs: HOUR,
      run: async (signal) => {
        await purgeTombstones(parts, ago(TOMBSTONE_MS), signal);
      },
    },
  ];
}

async function pruneChanges(parts: LoopParts, before: Date, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && parts.changes.prune(before, BITE) === BITE)
    await parts.clock.sleep(10, signal).catch(() => undefined);
}

/** First the stream, then the row: a tombstone that comes again from the stream would only be stored again. */
async function purgeTombstones(parts: LoopParts, before: Date, signal: AbortSignal): Promise<void> {
  const { objects, database, purge } = parts;
  for (
    let found = objects.tombstones(before, BITE);
    found.length > 0 && !signal.aborted;
    found = objects.tombstones(before, BITE)
  ) {
    for (const { nodeUid, kind, id } of found) await purge(inventorySubject(nodeUid, kind, id));
    database.transaction(() => {
      for (const object of found) objects.purgeTombstone(object);
    });
  }
}
