/** A guest that an operation of ours is making: how to know it again, and when it is whole. */
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { type GuestConfig, guestUidOf } from '../config-file.ts';

/** What is being made leaves a trace of, and how to know that it is ours. */
export interface HalfMade {
  readonly vmid: number;
  readonly guestUid: string;
  /** Until it is configured the guest carries it, as a tag or as its description. */
  readonly operationTag: string;
  readonly storages: readonly string[];
}

export type Found =
  | 'absent'
  /** Only `lock: create`: what a killed pct leaves. Ours when our journal names the vmid and no task works on it. */
  | 'half-made'
  | 'ours'
  | 'foreign';

export function identify(config: GuestConfig | undefined, made: HalfMade): Found {
  if (config === undefined) return 'absent';
  const tags = (config.entries.get('tags') ?? '').split(/[;,\s]+/);
  const isMarked = tags.includes(made.operationTag) || config.description.trim() === made.operationTag;
  if (guestUidOf(config) === made.guestUid || isMarked) return 'ours';
  const isBare = config.entries.get('lock') === 'create' && !config.entries.has('rootfs');
  return isBare ? 'half-made' : 'foreign';
}

/** What keeps the guest that pct has just made from being whole; undefined when nothing does. */
export function unfinished(
  config: GuestConfig | undefined,
  made: HalfMade,
  { signal, exitCode }: Pick<CommandResult, 'signal' | 'exitCode'>,
): string | undefined {
  if (config === undefined) return 'there is no configuration';
  // pct writes the configuration, without the lock, before it sets the guest up: a guest that looks whole may lack what
  // came after, and a node that lost quorum cannot remove what failed.
  if (signal !== null) return `pct was ended by ${signal}`;
  if (exitCode !== 0) return `pct ended with ${String(exitCode)}`;
  // Another program may have made a guest under this id in the same moment.
  if (identify(config, made) !== 'ours') return 'the guest under this id is not the one we made';
  if (config.entries.has('lock')) return `it is still locked (${config.entries.get('lock') ?? ''})`;
  return config.entries.has('rootfs') ? undefined : 'it has no root file system';
}
