import type { Command, CommandResult } from '@pxmgr/kit/exec/command';
import type { JournalReplay } from '../../operation/journal.ts';
import type { Recovery } from '../../operation/settle.ts';
import type { Work } from '../../operation/work.ts';
import type { GuestConfig } from '../config-file.ts';
import type { GuestParts } from '../parts.ts';

/** One change that was ordered: of which guest, and what. */
export interface ChangeJob<Value> {
  readonly parts: GuestParts;
  readonly vmid: number;
  /** Empty = do not check. */
  readonly guestUid: string;
  readonly change: Value;
  /** For commands that only look: an operation's `run`, or the plain runner of a dry run. */
  readonly run: (command: Command) => Promise<CommandResult>;
}

/** A kind of change to a container that exists: what must hold before, what is done, and how a crash in it is mended. */
export interface ChangeKind<Value> {
  /** "create snapshot s1 of container 101" */
  readonly title: (vmid: number, change: Value) => string;
  /** Refuses what can be known to fail. Changes nothing: a dry run does it too, and the work begins with it. */
  readonly check: (job: ChangeJob<Value>) => Promise<void> | void;
  /** What it will run, after `check`. */
  readonly commands: (job: ChangeJob<Value>) => Promise<Command[]> | Command[];
  readonly carryOut: (job: ChangeJob<Value>, work: Work) => Promise<void>;
  /**
   * After a crash with some effect begun and no task of the guest alive: finishes or undoes it. The guest is there and
   * the one meant. Decides by what it finds, so that it can be repeated.
   */
  readonly recover: (job: ChangeJob<Value>, work: Work, replay: JournalReplay) => Promise<Recovery>;
  /** The guest was moved while it was changed: tells what it has taken along; left out = nothing that troubles it there. */
  readonly tellMoved?: (job: ChangeJob<Value>, work: Work, moved: { node: string; config: GuestConfig }) => void;
}

/** Fields of most messages about the guest. */
export function subjectOf({ parts, vmid }: ChangeJob<unknown>): { vmid: string; node: string } {
  return { vmid: String(vmid), node: parts.files.node };
}

/** The guest as it is, when it may be changed now. Errors: PXM_NO_QUORUM, PXM_GUEST_NOT_FOUND, PXM_GUEST_MOVED, PXM_GUEST_FOREIGN, PXM_GUEST_LOCKED. */
export function requireChangeable({ parts, vmid, guestUid }: ChangeJob<unknown>): GuestConfig {
  parts.cluster.requireQuorum();
  const config = parts.files.require(vmid, guestUid);
  parts.files.requireUnlocked(vmid, config);
  return config;
}

/** What a restart brings. After a crash the same is told as without one. */
export function tellRestart(work: Work, names: readonly string[], when: string): void {
  if (names.length === 0) return;
  work.result('restart', 'needed');
  work.warn(`${[...new Set(names)].join(', ')}: ${when}`);
}
