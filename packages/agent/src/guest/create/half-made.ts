/** A guest that an operation of ours is making: how to know it again, when it is whole, and what the journal holds of it. */
import type { CommandResult } from '@pxmgr/kit/exec/command';
import type { JournalReplay } from '../../operation/journal.ts';
import { type GuestConfig, guestUidOf, isStub } from '../config-file.ts';

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
  /** Nothing, or only a lock: what a killed pct leaves. Ours when our journal names the vmid and no task works on it. */
  | 'half-made'
  | 'ours'
  | 'foreign';

export function identify(config: GuestConfig | undefined, made: HalfMade): Found {
  if (config === undefined) return 'absent';
  const tags = (config.entries.get('tags') ?? '').split(/[;,\s]+/);
  const isMarked = tags.includes(made.operationTag) || config.description.trim() === made.operationTag;
  if (guestUidOf(config) === made.guestUid || isMarked) return 'ours';
  return isStub(config) ? 'half-made' : 'foreign';
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

/** Strings only; read back by `fromJournal`. */
export function journalData(made: HalfMade): Record<string, string> {
  return {
    vmid: String(made.vmid),
    guestUid: made.guestUid,
    operationTag: made.operationTag,
    storages: made.storages.join(','),
  };
}

/** What the effect of that name was to make; undefined when it was never begun. */
export function fromJournal(replay: JournalReplay, name: string): (HalfMade & { digest: string }) | undefined {
  const data = replay.effects.find((effect) => effect.name === name)?.data;
  if (data === undefined) return undefined;
  return {
    vmid: Number(data['vmid']),
    guestUid: data['guestUid'] ?? '',
    operationTag: data['operationTag'] ?? '',
    digest: data['digest'] ?? '',
    storages: (data['storages'] ?? '').split(',').filter((id) => id !== ''),
  };
}
