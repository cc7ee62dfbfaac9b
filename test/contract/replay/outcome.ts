/**
 * What a command did, in a form that recordings and the stand-in share. Values that differ at every run (process ids,
 * times, MAC addresses, UUIDs, digests, speeds) are replaced by marks on both sides; everything else is compared as it is.
 */

export interface Outcome {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** `path: text` of every guest file or storage.cfg that changed; `gone` when it went. */
  readonly configs: readonly string[];
  /** Steps of .vmlist's version and of the counters of .version. */
  readonly counters: readonly string[];
  /** `type:id log`. */
  readonly tasks: readonly string[];
  /** Lines added to `active` and `index`. */
  readonly taskLines: readonly string[];
  readonly clusterLog: readonly string[];
  /** `+path size`, `-path`, `~path size`. */
  readonly store: readonly string[];
  readonly running: readonly string[];
}

const MARKS: readonly (readonly [RegExp, string])[] = [
  [/UPID:([a-z0-9-]+):[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:/g, 'UPID:$1:<p>:<s>:<t>:'],
  [/\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b/g, '<uuid>'],
  [/\b[0-9A-F]{2}(?::[0-9A-F]{2}){5}\b/gi, '<mac>'],
  [/\b[0-9a-f]{40}\b/g, '<digest>'],
  [/Total bytes read: \d+ \([^)]*\)/g, 'Total bytes read: <n>'],
  // rsync's statistics: the recorded guest's files are not ours.
  [/\nNumber of files:[\s\S]*?speedup is [\d.]+\n/g, '<rsync statistics>\n'],
  [/\.tmp\.\d+/g, '.tmp.<pid>'],
  [/: [\d.]+ \w+ \(\d+ bytes\) trimmed/g, ': <n> trimmed'],
  [/time="[^"]+" (?=level=)/g, 'time="<t>" '],
  [/read udp \[::1\]:\d+->/g, 'read udp <port>->'],
  [/^--[\d-]+ [\d:]+-- /gm, '--<time>-- '],
  // corosync-quorumtool
  [/^(Date|Ring ID): +.*$/gm, '$1: <t>'],
  [/\[\d+\] aa-exec:/g, '[<pid>] aa-exec:'],
  [/\/proc\/\d+\/root/g, '/proc/<pid>/root'],
  [/\bctime=\d+/g, 'ctime=<t>'],
  [/\bsnaptime: \d+/g, 'snaptime: <t>'],
  // The controllers of the machine's own cgroup tree.
  [/(?:^\d+:[^:\n]*:\/[^\n]*\n)+/gm, '<cgroups>\n'],
  // Lines of LXC's own sources move from version to version.
  [/(\.c: \w+: )\d+ /g, '$1<line> '],
  // Counts of e2fsprogs follow from the files.
  [/\d+\/\d+ files(?: \([\d.]+% non-contiguous\))?, \d+\/\d+ blocks/g, '<n> files, <n> blocks'],
  [/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?=\S)/g, '<time> '],
  [/\(duration \d\d:\d\d:\d\d\)/g, '(duration <t>)'],
];

/** Upstream goes through the volumes of an image in the order of a hash. */
const VOLUMES = /(?:creating base directory for volume at [^\n]*\n){2,}/g;

/** So it does through the fields that are wrong, and through the nodes. */
const WRONG_FIELDS = /(?<=^400 (?:Parameter|Result) verification failed\.\n)(?:[\w./-]+: .*\n)+/gm;
const NO_CERTIFICATE = /(?:'\/etc\/pve\/nodes\/\w+\/pve-ssl\.pem' does not exist!\n)+/g;

export function masked(text: string): string {
  const ordered = text.replace(VOLUMES, (lines) => lines.split('\n').sort().join('\n'));
  const sorted = [WRONG_FIELDS, NO_CERTIFICATE].reduce(
    (result, rows) => result.replace(rows, (lines) => `${lines.trimEnd().split('\n').sort().join('\n')}\n`),
    ordered,
  );
  return MARKS.reduce((result, [pattern, mark]) => result.replace(pattern, mark), sorted);
}

/** Free and used space of `pvesm status`; what is not active keeps its zeros. */
const SPACE = /^(\S+ +\S+ +active) +\d+ +\d+ +\d+ +[\d.]+%$/gm;
/** Numbers of JSON answers that no two hosts share: use, space, times, process ids, addresses of certificates. */
const MEASURED =
  /^(?:cpu|mem|memhost|disk|uptime|pid|pstart|starttime|endtime|time|ctime|used|avail|total|used_fraction|swap|net(?:in|out)|disk(?:read|write)|maxdisk|ssl_fingerprint|pressure\w+|uid)$/;
/** The same in `pct df`; size, names and paths stay. */
const DF_SPACE = /^(\S+ +\S+ +[\d.]+[BKMGT]?) +[\d.]+[BKMGT]? +[\d.]+[BKMGT]? +[\d.]+ (\/.*)$/gm;
/** What a running guest used when `pct status --verbose` looked. */
const USED = /^(disk|diskread|diskwrite|mem|netin|netout|pid|swap|uptime|pressure\w+): [\d.]+$/gm;
/** The environment that lxc-attach hands over comes in the order of a hash. */
const ENVIRONMENT = /^(?:\w+=.*\n){3,}$/;
/** `ls -l`: links, size of a directory and time follow from the machine. */
const LISTED = /^([-dlcb][-rwxsStT]{9}) +\d+ +(\S+) +(\S+) +(\d+|\d+, +\d+) \w{3} +\d+ [\d:]+ /gm;

/** What a program printed: JSON by its values (rows of lists in any order, since upstream's come from hashes). */
export function maskedOutput(text: string): string {
  const json = parsedJson(text);
  if (json !== undefined) return masked(JSON.stringify(normal(json, '', isRunningRow(json))));
  if (ENVIRONMENT.test(text)) return masked(text.split('\n').sort().join('\n'));
  const shown = /^status: running$/m.test(text) ? text.replace(USED, '$1: <n>') : text;
  return masked(
    shown
      .replace(/^total \d+$/m, 'total <n>')
      .replace(SPACE, '$1 <space>')
      .replace(DF_SPACE, '$1 <space> $2')
      .replace(LISTED, listedLine),
  );
}

function listedLine(line: string): string {
  const [mode = '', , user = '', group = '', size = ''] = line.split(/ +/);
  return `${mode} ${user} ${group} ${mode.startsWith('d') ? '<n>' : size} <time> `;
}

function parsedJson(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isRunningRow(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'status' in value && value.status === 'running';
}

/** Processor, kernel, memory and boot of a node: only which fields there are is compared. */
const OF_THE_MACHINE = /^(?:boot-info|cpuinfo|current-kernel|kversion|ksm|loadavg|memory|rootfs|swap|idle|wait)$/;

/** Counters of the cluster file system depend on what had happened before. */
const COUNTED = /^(?:clinfo|version|tasklist)$/;

function keysOf(value: unknown): unknown {
  return value !== null && typeof value === 'object' ? Object.keys(value).sort() : '<n>';
}

function normalRows(value: readonly unknown[]): unknown[] {
  const rows = value.map((row) => normal(row, '', false));
  return typeof value[0] === 'object' ? rows.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : rows;
}

function normalLeaf(value: unknown, key: string, isMeasured: boolean): unknown {
  if (key === 'content' && typeof value === 'string') return value.split(',').sort().join(',');
  const isCount = COUNTED.test(key) && typeof value === 'number';
  return isCount || (MEASURED.test(key) && isMeasured) ? '<n>' : value;
}

function normal(value: unknown, key: string, isMeasured: boolean): unknown {
  if (OF_THE_MACHINE.test(key) && isMeasured) return keysOf(value);
  if (Array.isArray(value)) return normalRows(value);
  if (value !== null && typeof value === 'object') {
    const hasFigures = isRunningRow(value) || !('maxdisk' in value) || 'plugintype' in value;
    const entries = Object.entries(value).map(([name, inner]): [string, unknown] => [
      name,
      normal(inner, name, hasFigures),
    ]);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  return normalLeaf(value, key, isMeasured);
}

/** One line per part that differs: what, recorded, made. */
export function differences(recorded: Outcome, made: Outcome): string[] {
  const found: string[] = [];
  const keys = Object.keys(recorded) as (keyof Outcome)[];
  for (const key of keys) {
    const [want, got] = [recorded[key], made[key]].map((value) => JSON.stringify(value));
    if (want !== got) found.push(`${key}: recorded ${want ?? ''}\n      made     ${got ?? ''}`);
  }
  return found;
}

/** One write of the guest list that only the recording has is left out where a guest ended: upstream's post-stop hook came in time. */
export function withLateWrite(recorded: Outcome, made: Outcome, canBeLate: boolean): Outcome {
  if (!canBeLate || stepsOf(recorded) !== stepsOf(made) + 1) return recorded;
  const counters = recorded.counters.filter((row) => !row.startsWith('vmlist '));
  const rest = stepsOf(made) === 0 ? [] : [`vmlist +${stepsOf(made)}`];
  return { ...recorded, counters: [...counters, ...rest].sort() };
}

function stepsOf(outcome: Outcome): number {
  return Number(/ \+(\d+)$/.exec(outcome.counters.find((row) => row.startsWith('vmlist ')) ?? '')?.[1] ?? 0);
}

/** An HTTP answer by status line and body; the other headers tell of the connection. */
export function recordedAnswer(stdout: string): string {
  const [head = '', ...rest] = stdout.split(/\r?\n\r?\n/);
  const status = /^HTTP\/1\.1 (.*?)\r?$/m.exec(head)?.[1] ?? '';
  const text = rest.join('\n\n').trim();
  return JSON.stringify({ status, body: text === '' ? null : (JSON.parse(text) as unknown) });
}
