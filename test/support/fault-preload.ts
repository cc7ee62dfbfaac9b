/**
 * Loaded into a bundle of ours by `node --import`, never shipped: stands between the program and its durable writes, and
 * kills the process, or lets a write fail, at the point that the control file names. The program itself knows nothing.
 */
import fs from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { setWallClock } from './clock-preload.ts';
import { type CallFault, type Control, entryOf, type JournalFault, type TraceEntry } from './fault.ts';

/** Put in when the preload is built. */
declare const CONTROL_FILE: string;
/** Where better-sqlite3 lies; empty for programs without it. */
declare const SQLITE: string;

const { readFileSync, readlinkSync, appendFileSync, rmSync, statSync } = fs;
type Any = (...args: unknown[]) => unknown;

interface JournalFile {
  readonly phase: 'work' | 'recovery';
  kind: string;
  readonly counts: Map<string, number>;
}

const journals = new Map<number, JournalFile>();
let counted = { id: -1, count: 0 };
let turn = 0;
let isTicking = false;

function control(): Control | undefined {
  try {
    return JSON.parse(readFileSync(CONTROL_FILE, 'utf8')) as Control;
  } catch {
    // No control file: nothing is asked.
    return undefined;
  }
}

function die(): never {
  rmSync(CONTROL_FILE);
  process.kill(process.pid, 'SIGKILL');
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}

function count(id: number): number {
  counted = counted.id === id ? { id, count: counted.count + 1 } : { id, count: 1 };
  return counted.count;
}

function tick(): number {
  if (!isTicking) {
    isTicking = true;
    setImmediate(() => {
      turn += 1;
      isTicking = false;
    });
  }
  return turn;
}

function kindIn(path: string): string {
  return kindOf(readFileSync(path, 'utf8').split('\n', 1)[0] ?? '');
}

function kindOf(line: string): string {
  try {
    return (JSON.parse(line) as { begin?: { operation?: { kind?: string } } }).begin?.operation?.kind ?? '';
  } catch {
    // Torn: nobody's journal.
    return '';
  }
}

/** One whole line is about to be written. */
function atJournalLine(file: JournalFile, text: string, write: () => unknown): unknown {
  if (file.kind === '') file.kind = kindOf(text);
  const entry = entryOf(text);
  const nth = (file.counts.get(entry) ?? 0) + 1;
  file.counts.set(entry, nth);
  const { kind, phase } = file;
  const now = control();
  if (now?.trace === true) note({ kind, phase, entry, turn: tick() });
  const when = whenAt(now, { kind, phase, entry, nth });
  if (when === 'before') die();
  const result = write();
  if (when === 'after') die();
  return result;
}

function note(entry: TraceEntry): void {
  appendFileSync(`${CONTROL_FILE}.trace`, `${JSON.stringify(entry)}\n`);
}

function whenAt(now: Control | undefined, at: Omit<JournalFault, 'at' | 'when'>): JournalFault['when'] | undefined {
  if (now?.fault?.at !== 'journal') return undefined;
  const { kind, phase, entry, nth, when } = now.fault;
  return kind === at.kind && phase === at.phase && entry === at.entry && nth === at.nth ? when : undefined;
}

/** A call that a fault may be about. */
interface Call {
  readonly name: CallFault['call'];
  readonly path: string;
  /** What it writes. */
  readonly data?: Buffer;
  readonly run: (data?: Buffer) => unknown;
  /** How the call tells a failure; default: it throws. */
  readonly fail?: (error: Error) => void;
}

setWallClock(() => readFileSync(`${CONTROL_FILE}.clock`, 'utf8'));

let isInside = false;

/** Node builds some of these calls of others, and so does this file: only the outermost counts. */
function atCall(call: Call): unknown {
  if (isInside) return call.run();
  isInside = true;
  try {
    return atOutermost(call);
  } finally {
    isInside = false;
  }
}

function atOutermost(call: Call): unknown {
  const { name, path, run } = call;
  const now = control();
  if (now?.tracesCalls === true) note({ kind: 'call', phase: 'work', entry: `${name} ${path}`, turn: tick() });
  const fault = faultOf(now, call);
  if (now === undefined || fault === undefined) return run();
  const n = count(now.id);
  if (fault.do === 'ENOSPC' && n >= fault.nth) return refuse(call, 'ENOSPC', 'no space left on device');
  if (n !== fault.nth) return run();
  if (fault.do !== 'EIO') return strike(fault, call);
  rmSync(CONTROL_FILE);
  return refuse(call, 'EIO', 'i/o error');
}

/** As Node tells it: calls on a descriptor do not name the file. */
function refuse({ name, path, fail }: Call, code: 'EIO' | 'ENOSPC', words: string): unknown {
  const isByName = /^(?:rename|renameSync|link|unlink|open|openSync)$/.test(name);
  const where = isByName ? ` '${path}'` : '';
  const error = new Error(`${code}: ${words}, ${name.split('.').at(-1) ?? name}${where}`);
  Object.assign(error, { code, errno: code === 'EIO' ? -5 : -28 }, isByName ? { path } : {});
  if (fail === undefined) throw error;
  setImmediate(() => {
    fail(error);
  });
  return undefined;
}

function faultOf(now: Control | undefined, { name, path }: Call): CallFault | undefined {
  const fault = now?.fault;
  return fault?.at === 'call' && fault.call === name && new RegExp(fault.path).test(path) ? fault : undefined;
}

function strike(fault: CallFault, { run, data }: Call): unknown {
  if (fault.do === 'kill before') die();
  if (fault.do === 'tear') {
    run(data?.subarray(0, Math.ceil(data.length / 2)));
    die();
  }
  const result = run();
  return result instanceof Promise ? result.then(die) : die();
}

function patch(target: object, name: string, make: (original: Any) => Any): void {
  const host = target as Record<string, Any>;
  const original = host[name];
  if (original !== undefined) host[name] = make(original.bind(target));
}

function bytesOf(data: unknown): Buffer {
  return typeof data === 'string' ? Buffer.from(data) : Buffer.from(data as Uint8Array);
}

function opened(fd: number, path: string, sizeBefore: number): void {
  paths.set(fd, path);
  if (!/\/operations\/op-[^/]+\.jsonl$/.test(path)) return;
  const isNew = sizeBefore === 0;
  journals.set(fd, { phase: isNew ? 'work' : 'recovery', kind: isNew ? '' : kindIn(path), counts: new Map() });
}

const paths = new Map<number, string>();

function pathOf(fd: unknown): string {
  return readlinkSync(`/proc/self/fd/${String(fd)}`);
}

function isWriting(flags: unknown): boolean {
  return typeof flags === 'string' && /^[aw]|\+/.test(flags);
}

patch(fs, 'openSync', (original): Any => {
  return (path, flags, mode) => {
    const name = String(path);
    const size = statSync(name, { throwIfNoEntry: false })?.size ?? 0;
    const open = (): unknown => original(path, flags, mode);
    const fd = (isWriting(flags) ? atCall({ name: 'openSync', path: name, run: open }) : open()) as number;
    if (flags === 'a+' || flags === 'a') opened(fd, name, size);
    else paths.set(fd, name);
    return fd;
  };
});
patch(fs, 'closeSync', (original): Any => {
  return (fd) => {
    journals.delete(fd as number);
    paths.delete(fd as number);
    return original(fd);
  };
});
patch(fs, 'writeSync', (original): Any => {
  return (fd, data, ...rest) => {
    const path = paths.get(fd as number);
    if (path === undefined) return original(fd, data, ...rest);
    const whole = bytesOf(data);
    const run = (part?: Buffer): unknown => (part === undefined ? original(fd, data, ...rest) : original(fd, part));
    const place = (): unknown => atCall({ name: 'writeSync', path, data: whole, run });
    const journal = journals.get(fd as number);
    const text = whole.toString('utf8');
    return journal !== undefined && /^\{.*\n$/s.test(text) ? atJournalLine(journal, text, place) : place();
  };
});
patch(fs, 'appendFileSync', (original): Any => {
  return (path, data, options) => {
    const whole = bytesOf(data);
    const run = (part = whole): unknown => original(path, part, options);
    return atCall({ name: 'appendFileSync', path: String(path), data: whole, run });
  };
});
patch(fs, 'renameSync', (original): Any => {
  return (from, to) => atCall({ name: 'renameSync', path: String(from), run: () => original(from, to) });
});
patch(fs, 'writeFileSync', (original): Any => {
  return (path, ...rest) => atCall({ name: 'writeFileSync', path: String(path), run: () => original(path, ...rest) });
});
patch(fs, 'fsyncSync', (original): Any => {
  return (fd) => atCall({ name: 'fsyncSync', path: pathOf(fd), run: () => original(fd) });
});
patch(fs, 'fdatasync', (original): Any => {
  return (fd, done) =>
    atCall({
      name: 'fdatasync',
      path: pathOf(fd),
      run: () => original(fd, done),
      fail: done as (error: Error) => void,
    });
});
patch(fs, 'write', (original): Any => {
  return (fd, ...rest) => {
    const done = rest.at(-1) as (error: Error) => void;
    return atCall({ name: 'stream write', path: pathOf(fd), run: () => original(fd, ...rest), fail: done });
  };
});
patch(fs.promises, 'open', (original): Any => {
  return (path, flags, mode) => {
    const open = (): unknown => original(path, flags, mode);
    return isWriting(flags) ? atCall({ name: 'open', path: String(path), run: open }) : open();
  };
});
const handle = await fs.promises.open('/dev/null');
const handles = Object.getPrototypeOf(handle) as Record<string, Any>;
await handle.close();
for (const [name, call] of [
  ['sync', 'handle.sync'],
  ['writeFile', 'handle.writeFile'],
] as const) {
  const original = handles[name];
  if (original === undefined) continue;
  handles[name] = function (this: { readonly fd: number }, ...args): unknown {
    return atCall({ name: call, path: pathOf(this.fd), run: () => original.apply(this, args) });
  };
}
for (const name of ['rename', 'link', 'unlink'] as const) {
  patch(fs.promises, name, (original): Any => {
    return (path, ...rest) => atCall({ name, path: String(path), run: () => original(path, ...rest) });
  });
}
syncBuiltinESMExports();

/** The table that a statement writes. */
const WRITES = /^\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM)\s+(\w+)/;

interface Statement {
  readonly source: string;
  readonly readonly: boolean;
  readonly database: { readonly inTransaction: boolean };
}

function watchCommits(path: string): void {
  const Database = createRequire(import.meta.url)(path) as new (
    file: string,
  ) => { prepare(sql: string): object; close(): void };
  const database = new Database(':memory:');
  const prototype = Object.getPrototypeOf(database.prepare('COMMIT')) as object;
  database.close();
  const touched = new Set<string>();
  for (const method of ['run', 'get', 'all']) {
    const host = prototype as Record<string, (this: Statement, ...args: unknown[]) => unknown>;
    const original = host[method];
    if (original === undefined) continue;
    host[method] = function (this: Statement, ...args: unknown[]): unknown {
      return atStatement(this, touched, () => original.apply(this, args));
    };
  }
}

function atStatement(statement: Statement, touched: Set<string>, run: () => unknown): unknown {
  const { source, readonly, database } = statement;
  if (source === 'ROLLBACK') touched.clear();
  const table = readonly ? undefined : WRITES.exec(source)?.[1];
  if (source === 'COMMIT' || (table !== undefined && !database.inTransaction)) {
    const tables = [...touched, ...(table === undefined ? [] : [table])];
    touched.clear();
    return tables.length === 0 ? run() : atCommit(tables, run);
  }
  const result = run();
  // A sweep that finds nothing writes nothing.
  if (table !== undefined && (result as { changes?: number } | undefined)?.changes !== 0) touched.add(table);
  return result;
}

function atCommit(tables: readonly string[], run: () => unknown): unknown {
  const now = control();
  if (now?.trace === true) note({ kind: 'commit', phase: 'work', entry: tables.join(' '), turn: tick() });
  const fault = now?.fault;
  if (now === undefined || fault?.at !== 'commit') return run();
  const isMeant = tables.some((table) => new RegExp(fault.tables).test(table));
  if (!isMeant || count(now.id) !== fault.nth) return run();
  if (fault.when === 'before') die();
  run();
  return die();
}

if (SQLITE !== '') watchCommits(SQLITE);
