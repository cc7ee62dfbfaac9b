/** The outcome a recorded step tells. */
import { masked, maskedOutput, type Outcome, recordedAnswer } from './outcome.ts';
import type { LongText, RecordedEffects, RecordedStep } from './recorded-step.ts';

export function recordedOutcome(step: RecordedStep): Outcome {
  const effects = step.effects ?? {};
  return {
    // A negative status: ended by that signal.
    exit: step.exit,
    stdout: maskedOutput(outputOf(step)),
    stderr: masked(textOf(step.stderr).replace(LAB_STUB, '')),
    configs: configsOf(effects),
    counters: countersOf(effects, step),
    tasks: (effects.tasks ?? []).map((task) => masked(`${task.upid} ${task.log}`)).sort(),
    taskLines: [...(effects.active_added ?? []), ...(effects.index_added ?? [])].map(taskLine).sort(),
    // Tool and worker write at the same time, so the order is by chance.
    clusterLog: (effects.clusterlog ?? []).map((entry) => masked(`${entry.tag} ${entry.user} ${entry.msg}`)).sort(),
    store: storeOf(effects),
    running: runningOf(effects),
  };
}

function outputOf(step: RecordedStep): string {
  const text = textOf(step.stdout);
  return step.argv[0] === 'curl' ? recordedAnswer(text) : text;
}

/** The lab's replacements of native modules tell of themselves. */
const LAB_STUB = /^stub: \S+ is not available \(Rust-backed\)\n/gm;

function textOf(text: string | LongText): string {
  return typeof text === 'string' ? text : `${text.bytes} bytes ${text.sha256}`;
}

/** The end time of a finished task is left out. */
export function taskLine(line: string): string {
  return masked(line).replace(/ ([01] )?[0-9A-F]{8} /, ' $1');
}

function configsOf(effects: RecordedEffects): string[] {
  return Object.entries(effects.config ?? {})
    .map(([path, { after }]) => (after === null ? `${path}: gone` : masked(`${path}: ${after}`)))
    .sort();
}

function countersOf(effects: RecordedEffects, { host, argv }: RecordedStep): string[] {
  const found: string[] = [];
  for (const [key, [from, to]] of Object.entries(effects.version ?? {})) {
    // The status daemon sends task lists too, whether or not a task ran: only counted where this command had one.
    if (key.startsWith('kvstore.') && (key !== `kvstore.${host}.tasklist` || effects.tasks === undefined)) continue;
    const own = to - from - (key === 'vmlist' ? foreignWrites(effects, argv) : 0);
    if (key !== 'starttime') found.push(key.startsWith('kvstore.') ? key : `${key} +${own}`);
  }
  return found.sort();
}

/** A guest that the command does not name, written with the text it had: its post-stop hook, late from a step before. */
function foreignWrites({ vmlist = {}, config = {} }: RecordedEffects, argv: readonly string[]): number {
  const named = new Set(argv.join(' ').match(/\d{3,}/g));
  const isForeign = (vmid: string): boolean =>
    !named.has(vmid) && !Object.keys(config).some((path) => path.endsWith(`/${vmid}.conf`));
  return Object.entries(vmlist)
    .map(([key, [from]]) => [/^ids\.(\d+)\.version$/.exec(key)?.[1], from] as const)
    .filter(([vmid, from]) => vmid !== undefined && from !== null && isForeign(vmid)).length;
}

function storeOf(effects: RecordedEffects): string[] {
  const { added = {}, removed = {}, changed = {} } = effects.store ?? {};
  return [
    ...Object.entries(added).map(([path, file]) =>
      `+${path}${file.type === 'dir' ? '' : ` ${file.size ?? ''}`}`.trimEnd(),
    ),
    ...Object.keys(removed).map((path) => `-${path}`),
    ...Object.entries(changed)
      .filter(([, [from, to]]) => from.size !== to.size)
      .map(([path, [, to]]) => `~${path} ${to.size ?? ''}`),
  ].sort();
}

function runningOf(effects: RecordedEffects): string[] {
  return effects.running === undefined ? [] : [JSON.stringify(effects.running)];
}
