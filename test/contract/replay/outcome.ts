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
  [/\bsnaptime: \d+/g, 'snaptime: <t>'],
];

export function masked(text: string): string {
  return MARKS.reduce((result, [pattern, mark]) => result.replace(pattern, mark), text);
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
