import type { Clock } from '@pxmgr/kit/clock';
import type { Runner } from '@pxmgr/kit/exec/command';
import type { JournalReplay } from './journal.ts';
import { readJournal } from './journal-replay.ts';
import type { LiveOperation } from './live-operation.ts';
import type { Recovery, RecoveryRule } from './settle.ts';
import { causeWithoutQuorum, type Settling, settle } from './settle.ts';
import { Work } from './work.ts';

export interface SettlerParts {
  /** Folder of the journals. */
  readonly directory: string;
  readonly clock: Clock;
  readonly runner: Runner;
  readonly node: { readonly uid: string; readonly name: string };
  /** How each kind is settled; no other is begun. Default: all are, and none is settled, for tests. */
  readonly rules?: ReadonlyMap<string, RecoveryRule>;
  /** Default: a node in no cluster. */
  readonly cluster?: Settling['cluster'];
  /** Called when `settling` has changed. */
  readonly onSettling?: () => void;
}

/** Settles the operations of one store; see settle.ts. */
export class Settler {
  readonly #parts: SettlerParts;
  readonly #halt: AbortSignal;
  readonly #settling = new Map<string, string>();

  /** `halt` ends the waiting: the agent stops. */
  constructor(parts: SettlerParts, halt: AbortSignal) {
    this.#parts = parts;
    this.#halt = halt;
  }

  /** Titles of what is being settled now. */
  get settling(): readonly string[] {
    return [...this.#settling.values()];
  }

  /** Heeds no cancel: what was made has to go, or to be finished, whoever wants it. */
  workOn(live: LiveOperation): Work {
    return new Work(live, this.#parts.runner, this.#halt);
  }

  /** The rule for what began before its node was cut off; undefined when the failure has nothing to do with that. */
  ruleAfter(live: LiveOperation, error: unknown): RecoveryRule | undefined {
    const { cluster, rules } = this.#parts;
    const isCutOff = cluster?.quorate() === false || causeWithoutQuorum(error) !== undefined;
    return isCutOff && live.journal.hasEffects ? rules?.get(live.snapshot().kind) : undefined;
  }

  async settle(live: LiveOperation, how: Pick<Settling, 'apply' | 'onWait'>): Promise<Recovery> {
    const { clock, cluster, node, onSettling } = this.#parts;
    const { title } = live.snapshot();
    this.#settling.set(live.id, title);
    onSettling?.();
    try {
      return await settle({
        ...how,
        cluster: cluster ?? { quorate: () => true, nodeName: () => node.name },
        clock,
        title,
        work: this.workOn(live),
        read: () => this.#read(live),
      });
    } finally {
      this.#settling.delete(live.id);
      onSettling?.();
    }
  }

  async #read(live: LiveOperation): Promise<JournalReplay> {
    await live.journal.sync();
    const replay = await readJournal(this.#parts.directory, live.id);
    if (replay === undefined) throw new Error('its journal is gone');
    return replay;
  }
}
