import { open, readFile } from 'node:fs/promises';
import { parseTaskLogEnd, parseTaskStatus, parseUpid, type TaskVerdict, taskLogPath, type Upid } from '@pxmgr/contract';
import { type HostPaths, isAbsent } from '../host/paths.ts';

/**
 * Proxmox tasks of this node as files tell them (proxmox/pve-common src/PVE/RESTEnvironment.pm): `active` is the list
 * of running and newest tasks, `index` the ended ones, and each task has a log whose last line is its verdict.
 */
export interface TaskKey {
  /** vzcreate, vzstart, ... */
  readonly type: string;
  readonly vmid: number;
}

export type TaskFate =
  | { readonly kind: 'none' }
  | { readonly kind: 'succeeded' }
  | { readonly kind: 'failed'; readonly text: string }
  /** It has not ended, or has died without a verdict. */
  | { readonly kind: 'open' };

/** What the next task, or a pct that has lost its worker, says of a task that ended without a word (proxmox/pve-common src/PVE/RESTEnvironment.pm). */
const NO_VERDICT = /^(?:unexpected status|got unexpected control message)/;

const TASKS = '/var/log/pve/tasks';
const TAIL_BYTES = 8192;
/** Newer part of `index`: it is rotated by size, and our tasks are always at its end. */
const INDEX_TAIL_BYTES = 64 * 1024;

export class PveTasks {
  readonly #paths: HostPaths;

  constructor(paths: HostPaths) {
    this.#paths = paths;
  }

  /** UPIDs of a guest's tasks of one type that are known now; compare with a later answer to find a new one. */
  async list(key: TaskKey): Promise<Set<string>> {
    const found = new Set<string>();
    for (const text of await this.#texts()) {
      for (const line of text.split('\n')) {
        const upid = line.split(' ', 1)[0] ?? '';
        const parsed = parseUpid(upid);
        if (parsed !== undefined && parsed.type === key.type && parsed.id === String(key.vmid)) found.add(upid);
      }
    }
    return found;
  }

  /** The newest task of the kind that was not in `before`. */
  async findNew(key: TaskKey, before: ReadonlySet<string>): Promise<string | undefined> {
    const fresh = [...(await this.list(key))].filter((upid) => !before.has(upid));
    return fresh.sort((a, b) => startOf(a) - startOf(b)).at(-1);
  }

  /** The newest task of the kind that began at that time or later. */
  async newestSince(key: TaskKey, since: Date): Promise<string | undefined> {
    const known = [...(await this.list(key))].filter((upid) => startOf(upid) >= Math.floor(since.getTime() / 1000));
    return known.sort((a, b) => startOf(a) - startOf(b)).at(-1);
  }

  /** What became of the newest task of the kind that began at that time or later. */
  async fateSince(key: TaskKey, since: Date): Promise<TaskFate> {
    const upid = await this.newestSince(key, since);
    if (upid === undefined) return { kind: 'none' };
    const verdict = await this.verdict(upid);
    if (verdict?.kind === 'ok' || verdict?.kind === 'warnings') return { kind: 'succeeded' };
    if (verdict === undefined || NO_VERDICT.test(verdict.text)) return { kind: 'open' };
    return { kind: 'failed', text: verdict.text };
  }

  /** undefined while it runs, or when it died without a last line. */
  async verdict(upid: string): Promise<TaskVerdict | undefined> {
    const parsed = parseUpid(upid);
    if (parsed === undefined) return undefined;
    const lines = (await this.#tail(taskLogPath(parsed), TAIL_BYTES)).trimEnd().split('\n');
    return parseTaskLogEnd(lines.at(-1) ?? '') ?? (await this.#savedVerdict(upid));
  }

  /** True while some task works on the guest: its process exists with the start time that the UPID names. */
  async isAnyLive(vmid: number): Promise<boolean> {
    for (const text of await this.#texts()) {
      for (const line of text.split('\n')) {
        const parsed = parseUpid(line.split(' ', 1)[0] ?? '');
        if (parsed?.id === String(vmid) && this.#isLive(parsed)) return true;
      }
    }
    return false;
  }

  /** Field 22 of /proc/PID/stat is the start time in clock ticks (proc(5)); the name in field 2 may hold blanks. */
  #isLive(upid: Upid): boolean {
    const stat = this.#paths.readIfThere(`/proc/${upid.pid}/stat`);
    if (stat === undefined) return false;
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[19]) === upid.pstart;
  }

  async #savedVerdict(upid: string): Promise<TaskVerdict | undefined> {
    for (const text of await this.#texts()) {
      for (const line of text.split('\n')) {
        if (!line.startsWith(`${upid} `)) continue;
        const status = /^(?:1 )?[0-9A-F]{8} (.+)$/.exec(line.slice(upid.length + 1));
        if (status?.[1] !== undefined) return parseTaskStatus(status[1]);
      }
    }
    return undefined;
  }

  async #texts(): Promise<string[]> {
    return [await this.#text(`${TASKS}/active`), await this.#tail(`${TASKS}/index`, INDEX_TAIL_BYTES)];
  }

  async #text(path: string): Promise<string> {
    try {
      return await readFile(this.#paths.at(path), 'utf8');
    } catch (error) {
      if (isAbsent(error)) return '';
      throw error;
    }
  }

  async #tail(path: string, bytes: number): Promise<string> {
    try {
      const file = await open(this.#paths.at(path), 'r');
      try {
        const { size } = await file.stat();
        const length = Math.min(size, bytes);
        const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
        return buffer.toString('utf8');
      } finally {
        await file.close();
      }
    } catch (error) {
      if (isAbsent(error)) return '';
      throw error;
    }
  }
}

function startOf(upid: string): number {
  return parseUpid(upid)?.startTime ?? 0;
}
