/** Who changed it: operations of this agent say so beforehand; Proxmox tasks tell the rest; often nobody knows. */
import type { InventoryKind } from '@pxmgr/contract';
import type { Cause } from '@pxmgr/contract/event';
import type { Clock } from '@pxmgr/kit/clock';
import type { TaskRow } from '../host/task-list.ts';

/** What an operation knows of a change it is about to make, or has just made. */
export interface KnownCause {
  readonly operationId: string;
  /** operator:<name> */
  readonly actor?: string | undefined;
  readonly upid?: string | undefined;
}

/**
 * A task may have ended this long before its effect is seen: the hook after a stop writes the configuration up to 3 s
 * later, datasets are listed up to 10 s later. A `pct set` soon after a task has none of its own and must not get it.
 */
const GUEST_MEMORY_SECONDS = 4;
const DATASET_MEMORY_SECONDS = 15;
/** Effects of an operation that has ended are seen in the next look at its guest; only volumes and files come later. */
const NOTE_MEMORY_MS = 15_000;
/** subvol-105-disk-0, vm-105-cloudinit: volumes named after their guest (proxmox/pve-storage src/PVE/Storage/ZFSPoolPlugin.pm). */
const GUEST_VOLUME = /\/(?:vm|base|subvol|basevol)-(\d+)-[^/]+$/;

interface Note {
  readonly cause: KnownCause;
  readonly untilMs: number;
  /** The next look at the guest is the last that it speaks for: what comes after may be somebody else's. */
  readonly isOver: boolean;
}

/** The vmid that a task id and an object have in common. */
function guestOf(kind: InventoryKind, id: string): string | undefined {
  if (kind === 'container' || kind === 'vm') return id;
  return kind === 'dataset' ? GUEST_VOLUME.exec(id)?.[1] : undefined;
}

/** The newest task of the guest that runs or has ended since then (Unix seconds). */
function taskFor(vmid: string, rows: readonly TaskRow[], sinceSeconds: number): TaskRow | undefined {
  const recent = rows.filter(
    ({ parsed, endTime }) => parsed.id === vmid && (endTime === undefined || endTime >= sinceSeconds),
  );
  return recent.sort((a, b) => b.parsed.startTime - a.parsed.startTime)[0];
}

export class Causes {
  readonly #clock: Clock;
  readonly #tasks: () => TaskRow[];
  readonly #notes = new Map<string, Note>();

  constructor(clock: Clock, tasks: () => TaskRow[]) {
    this.#clock = clock;
    this.#tasks = tasks;
  }

  /** Holds until `noteEnd`, for the object and for a guest's volumes. A later note replaces an earlier one. */
  note(kind: InventoryKind, id: string, cause: KnownCause): void {
    this.#notes.set(`${kind}/${id}`, { cause, untilMs: Infinity, isOver: false });
  }

  /** The work is done; volumes and files keep the note for a while, a guest until it has been looked at. */
  noteEnd(kind: InventoryKind, id: string, cause: KnownCause): void {
    const untilMs = this.#clock.monotonicMs() + NOTE_MEMORY_MS;
    this.#notes.set(`${kind}/${id}`, { cause, untilMs, isOver: true });
    if (kind === 'container') this.#notes.set(`volumes/${id}`, { cause, untilMs, isOver: true });
  }

  /** These guests were looked at, and the changes have their causes. */
  settle(vmids: Iterable<number>): void {
    for (const vmid of vmids) {
      const key = `container/${vmid}`;
      if (this.#notes.get(key)?.isOver === true) this.#notes.delete(key);
    }
  }

  #noted(kind: InventoryKind, id: string): KnownCause | undefined {
    const nowMs = this.#clock.monotonicMs();
    for (const [key, note] of this.#notes) if (note.untilMs <= nowMs) this.#notes.delete(key);
    const vmid = kind === 'dataset' ? guestOf(kind, id) : undefined;
    const keys = vmid === undefined ? [`${kind}/${id}`] : [`container/${vmid}`, `volumes/${vmid}`];
    return keys.map((key) => this.#notes.get(key)?.cause).find((cause) => cause !== undefined);
  }

  /** A lookup for one round of changes; the task list is read at most once. */
  lookup(): (kind: InventoryKind, id: string) => Cause | undefined {
    let rows: TaskRow[] | undefined;
    const nowSeconds = this.#clock.now().getTime() / 1000;
    const taskOf = (kind: InventoryKind, vmid: string): TaskRow | undefined => {
      rows ??= this.#tasks();
      return taskFor(vmid, rows, nowSeconds - (kind === 'dataset' ? DATASET_MEMORY_SECONDS : GUEST_MEMORY_SECONDS));
    };
    return (kind, id) => {
      const vmid = guestOf(kind, id);
      return causeOf(this.#noted(kind, id), vmid === undefined ? undefined : taskOf(kind, vmid));
    };
  }
}

function causeOf(noted: KnownCause | undefined, task: TaskRow | undefined): Cause | undefined {
  const ofTask = { upid: task?.upid ?? '', user: task?.parsed.user ?? '' };
  if (noted !== undefined) {
    return { ...ofTask, upid: noted.upid ?? ofTask.upid, operationId: noted.operationId, actor: noted.actor ?? '' };
  }
  return task === undefined ? undefined : { ...ofTask, operationId: '', actor: '' };
}
