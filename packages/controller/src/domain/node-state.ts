/**
 * domain/: the words of the field as values. Pure: no clock, no I/O, no npm package; only contract types. Every other
 * room may import it; it imports none. Interfaces that two rooms of one line share (FleetView) live here.
 */
import { limits } from '@pxmgr/contract';
import type { NodeDocument } from '@pxmgr/contract/common';

/** joined = has a certificate, was never heard of since. */
export type Presence = 'joined' | 'up' | 'suspect' | 'down';

/** What the controller itself knows of a node: the durable part. */
export interface NodeRecord {
  readonly uid: string;
  readonly name: string;
  /** host:port of the agent. */
  readonly address: string;
  readonly natsPublicKey: string;
  readonly certificateSerial: string;
  readonly certificateExpiresAt: Date;
  readonly agentVersion: string;
  readonly joinedAt: Date;
  readonly lastSeenAt: Date | undefined;
  readonly generation: bigint;
  readonly revokedAt: Date | undefined;
}

/** What a heartbeat says about a node that outlives a restart of the controller. */
export interface NodeSighting {
  readonly uid: string;
  readonly lastSeenAt: Date;
  readonly generation: bigint;
  readonly address: string;
  readonly agentVersion: string;
}

/** Latest figures of a node; they never change rows. */
export interface NodeMetrics {
  readonly at: Date;
  readonly cpuFraction: number;
  readonly memoryUsedBytes: bigint;
  readonly memoryTotalBytes: bigint;
  readonly load1: number;
  readonly uptimeSeconds: bigint;
}

/** A node as queries and the scheduler see it. */
export interface NodeState {
  readonly uid: string;
  readonly name: string;
  readonly address: string;
  readonly presence: Presence;
  readonly lastSeenAt: Date | undefined;
  readonly joinedAt: Date;
  readonly certificateExpiresAt: Date;
  readonly generation: bigint;
  /** Undefined until the first inventory of the node arrived. */
  readonly document: NodeDocument | undefined;
  readonly metrics: NodeMetrics | undefined;
}

/** Presence from the age of the last sign of life. `silentMs` is undefined for a node never heard of. */
export function presenceFromSilence(silentMs: number | undefined): Presence {
  if (silentMs === undefined) return 'joined';
  if (silentMs >= limits.DOWN_AFTER_SECONDS * 1000) return 'down';
  if (silentMs >= limits.SUSPECT_AFTER_SECONDS * 1000) return 'suspect';
  return 'up';
}
