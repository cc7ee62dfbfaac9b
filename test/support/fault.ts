/** What a test asks of `fault-preload.ts`: where a program of ours is to be killed, or what is to fail in it. */
export interface JournalFault {
  readonly at: 'journal';
  /** Kind of the operation whose journal is meant. */
  readonly kind: string;
  /** Recovery: lines that the next process adds to the journal of one that was killed. */
  readonly phase: 'work' | 'recovery';
  /** See `entryOf`. */
  readonly entry: string;
  /** 1 = the first entry of that name in the phase. */
  readonly nth: number;
  readonly when: 'before' | 'after';
}

export interface CommitFault {
  readonly at: 'commit';
  /** Durable writes of the tables, counted from the moment at which the fault was set. */
  readonly nth: number;
  /** Regular expression for one of the tables that are written. */
  readonly tables: string;
  readonly when: 'before' | 'after';
}

export interface CallFault {
  readonly at: 'call';
  readonly call: CallName;
  /** Regular expression for the (first) path. */
  readonly path: string;
  readonly nth: number;
  /** Tear: half of the data is written, then the process is killed. ENOSPC: from the n-th call on. EIO: that call alone. */
  readonly do: 'kill before' | 'kill after' | 'tear' | 'ENOSPC' | 'EIO';
}

/** Of node:fs or node:fs/promises; `handle.` of an open file, `stream write` of a stream that writes. */
export type CallName =
  | 'rename'
  | 'renameSync'
  | 'link'
  | 'unlink'
  | 'open'
  | 'openSync'
  | 'writeSync'
  | 'writeFileSync'
  | 'appendFileSync'
  | 'fsyncSync'
  | 'fdatasync'
  | 'stream write'
  | 'handle.sync'
  | 'handle.writeFile';

export type Fault = JournalFault | CommitFault | CallFault;

/** Content of the control file; the program looks at it at every point. */
export interface Control {
  /** Another number = another fault: counting begins anew. */
  readonly id: number;
  readonly fault?: Fault;
  /** Journal entries, or commits, are noted in `<control file>.trace`. */
  readonly trace?: boolean;
  /** So are the calls that a fault can be about, as kind "call". */
  readonly tracesCalls?: boolean;
}

/** Kind: "commit" for a durable write of a database; then `entry` is the tables, with blanks between. */
export interface TraceEntry {
  readonly kind: string;
  readonly phase: 'work' | 'recovery';
  readonly entry: string;
  /** Entries with the same number were written without anything asynchronous in between. */
  readonly turn: number;
}

/** What the executor writes is what it lives on after a kill. */
export const EXECUTION_TABLES = '^(?:operation|operation_step|operation_event|plan|reservation|fence|vmid_failure)$';

interface Line {
  readonly begin?: unknown;
  readonly intent?: { readonly name: string };
  readonly outcome?: { readonly done: boolean };
  readonly event?: {
    readonly operation?: { readonly state: string };
    readonly stepChanged?: { readonly name: string; readonly state: string };
    readonly command?: { readonly command?: { readonly argv?: readonly string[] }; readonly finished?: boolean };
    readonly log?: unknown;
    readonly bytes?: unknown;
  };
}

/** The name of a journal line: the same work gives the same names, whatever the times and numbers in it. */
export function entryOf(text: string): string {
  const line = JSON.parse(text) as Line;
  if (line.begin !== undefined) return 'begin';
  if (line.intent !== undefined) return `intent ${line.intent.name}`;
  if (line.outcome !== undefined) return `outcome ${line.outcome.done ? 'done' : 'failed'}`;
  return eventName(line.event ?? {});
}

function eventName(event: NonNullable<Line['event']>): string {
  const { operation, stepChanged, command } = event;
  if (operation !== undefined) return `operation ${stateOf(operation.state)}`;
  if (stepChanged !== undefined) return `step ${stepChanged.name} ${stateOf(stepChanged.state)}`;
  if (command !== undefined) {
    const [tool = 'internal', verb = ''] = command.command?.argv ?? [];
    return `command ${tool} ${verb} ${command.finished === true ? 'ended' : 'started'}`;
  }
  return event.log === undefined ? 'bytes' : 'log';
}

function stateOf(state: string): string {
  return state.replace('OPERATION_STATE_', '').toLowerCase();
}
