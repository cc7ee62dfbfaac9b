import { comparePositions, type Position } from '@pxmgr/contract';
import { InventoryDocument } from '@pxmgr/contract/common';
import type { DescribeChange } from '../domain/change.ts';
import type { ChangeStore } from '../store/changes.ts';
import type { ObjectStore, StoredObject } from '../store/objects.ts';
import type { Observed } from './message.ts';
import type { ViewWrite } from './view.ts';

export interface ObjectWriterOptions {
  readonly objects: ObjectStore;
  readonly changes: ChangeStore;
  readonly describe: DescribeChange;
  /** Name of a member node. */
  readonly nameOf: (nodeUid: string) => string | undefined;
}

export interface WriteRules {
  readonly recordedAt: Date;
  /** Generation in which the node was heard first: what it publishes then is the beginning, not a change. */
  readonly firstGeneration: bigint | undefined;
  /** Repair: take an equal or older position too, unless what is stored is newer than this. */
  readonly upTo?: Position | undefined;
}

const GONE = new Uint8Array(0);

/** Turns one observation into rows. Runs inside the caller's transaction; the view is written after COMMIT. */
export class ObjectWriter {
  readonly #options: ObjectWriterOptions;

  constructor(options: ObjectWriterOptions) {
    this.#options = options;
  }

  /**
   * What the view must do; undefined when the observation says nothing new, `late` when it is older than what is stored
   * and tells a state that history has passed over.
   */
  write(observed: Observed, rules: WriteRules): ViewWrite | 'late' | undefined {
    const stored = this.#options.objects.get(observed);
    if (stored !== undefined && !this.#isNews(observed.position, stored.position, rules))
      return stored.hash === observed.hash || comparePositions(observed.position, stored.position) === 0
        ? undefined
        : 'late';
    if (observed.document === undefined) return this.#writeGone(observed, stored, rules);
    if (stored !== undefined && !stored.deleted && stored.hash === observed.hash) {
      this.#touch(observed, stored);
      return undefined;
    }
    return this.#writeState({ ...observed, document: observed.document }, stored, rules);
  }

  /** The node has no such object any more, though it never said so: found by comparing. */
  writeAbsent(stored: StoredObject, position: Position, at: Date): ViewWrite | undefined {
    const { nodeUid, kind, id } = stored;
    const observed: Observed = {
      nodeUid,
      kind,
      id,
      position,
      observedAt: at,
      hash: '',
      document: undefined,
      cause: undefined,
      resync: true,
    };
    return this.#writeGone(observed, stored, { recordedAt: at, firstGeneration: undefined });
  }

  #isNews(position: Position, stored: Position, rules: WriteRules): boolean {
    if (comparePositions(position, stored) > 0) return true;
    return rules.upTo !== undefined && comparePositions(stored, rules.upTo) <= 0;
  }

  /** Same content, newer position: nothing that the view shows. */
  #touch(observed: Observed, stored: StoredObject): void {
    if (comparePositions(observed.position, stored.position) <= 0) return;
    this.#options.objects.put({ ...stored, position: observed.position });
  }

  #writeState(
    observed: Observed & { readonly document: InventoryDocument },
    stored: StoredObject | undefined,
    rules: WriteRules,
  ): ViewWrite {
    const { document } = observed;
    const bytes = InventoryDocument.encode(document).finish();
    const { nodeUid, kind, id, position, hash, observedAt } = observed;
    this.#options.objects.put({ nodeUid, kind, id, position, hash, observedAt, deleted: false, document: bytes });
    const before = beforeOf(stored);
    const isBeginning = observed.resync && stored === undefined && position.generation === rules.firstGeneration;
    if (!isBeginning) this.#record(observed, before, rules);
    return {
      action: before === undefined ? 'created' : 'updated',
      object: { nodeUid, kind, id, hash, observedAt, position, document },
    };
  }

  #writeGone(observed: Observed, stored: StoredObject | undefined, rules: WriteRules): ViewWrite | undefined {
    const { nodeUid, kind, id, position, observedAt } = observed;
    const newest = stored !== undefined && comparePositions(stored.position, position) > 0 ? stored.position : position;
    this.#options.objects.put({
      nodeUid,
      kind,
      id,
      position: newest,
      hash: '',
      observedAt,
      deleted: true,
      document: undefined,
    });
    const before = beforeOf(stored);
    if (stored === undefined || before === undefined) return undefined;
    this.#record(observed, before, rules);
    const { hash, observedAt: lastSeenAt, position: last } = stored;
    return {
      action: 'deleted',
      object: { nodeUid, kind, id, hash, observedAt: lastSeenAt, position: last, document: before },
    };
  }

  #record(observed: Observed, before: InventoryDocument | undefined, rules: WriteRules): void {
    const { nodeUid, kind, id, observedAt, cause, document: after } = observed;
    const nodeName = this.#options.nameOf(nodeUid) ?? nodeUid;
    const change = this.#options.describe({ nodeUid, nodeName, kind, id, observedAt, before, after, cause });
    if (change !== undefined) this.#options.changes.insert(change, rules.recordedAt);
  }
}

function beforeOf(stored: StoredObject | undefined): InventoryDocument | undefined {
  return stored === undefined || stored.deleted ? undefined : InventoryDocument.decode(stored.document ?? GONE);
}
