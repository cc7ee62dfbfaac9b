/** What the daemons' command lines share: a handful of commands, so a small parser instead of a library that costs start-up time. */
import { PxmError } from '../error/pxm-error.ts';
import { helpLines, renderExample } from './example.ts';
import type { Table } from './field.ts';
import type { Loaded } from './load.ts';
import { showConfig } from './origin.ts';

export type ConfigVerb = 'show' | 'check' | 'example';

export type DaemonCommand =
  | { readonly name: 'run' }
  | { readonly name: 'config'; readonly verb: ConfigVerb }
  | { readonly name: 'version' }
  | { readonly name: 'help' };

export interface DaemonLine<Own = never> {
  readonly command: DaemonCommand | Own;
  /** Undefined = the default file, which may be absent. */
  readonly configFile: string | undefined;
  /** Option values by flag name without dashes. */
  readonly flags: Readonly<Record<string, string>>;
}

export interface Words {
  readonly positionals: readonly string[];
  readonly switches: ReadonlySet<string>;
}

/** What a daemon has beside the commands that all of them have. */
export interface OwnGrammar<Own> {
  /** Flags that take no value. */
  readonly switches: readonly string[];
  /** Undefined = the words are no command of its own. */
  readonly command: (words: Words) => Own | undefined;
}

/** Errors: PXM_USAGE. */
export function parseDaemonLine<Own = never>(
  program: string,
  argv: readonly string[],
  own?: OwnGrammar<Own>,
): DaemonLine<Own> {
  const usage = usageOf(program);
  const { words, values } = splitWords(argv, new Set(['help', 'version', ...(own?.switches ?? [])]), usage);
  const { config, ...flags } = Object.fromEntries(values);
  const command = generalCommand(words) ?? own?.command(words) ?? commandOf(words, usage);
  return { command, configFile: config, flags };
}

type Usage = (problem: string) => PxmError;

export function usageOf(program: string): Usage {
  return (problem) => new PxmError('PXM_USAGE', { problem, command: program });
}

function splitWords(
  argv: readonly string[],
  known: ReadonlySet<string>,
  usage: Usage,
): { words: Words; values: Map<string, string> } {
  const positionals: string[] = [];
  const switches = new Set<string>();
  const values = new Map<string, string>();
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (word === '-h') switches.add('help');
    else if (!word.startsWith('--')) positionals.push(word);
    else {
      const equals = word.indexOf('=');
      const name = word.slice(2, equals < 0 ? undefined : equals);
      if (known.has(name)) {
        switches.add(name);
        continue;
      }
      const value = equals < 0 ? argv[(at += 1)] : word.slice(equals + 1);
      if (value === undefined) throw usage(`--${name} needs a value`);
      values.set(name, value);
    }
  }
  return { words: { positionals, switches }, values };
}

/** Help and version go before everything else, whatever is wrong with the rest. */
function generalCommand({ positionals: [name], switches }: Words): DaemonCommand | undefined {
  if (switches.has('help') || name === 'help') return { name: 'help' };
  if (switches.has('version') || name === 'version') return { name: 'version' };
  return undefined;
}

function commandOf({ positionals }: Words, usage: Usage): DaemonCommand {
  const [name = 'run', verb, ...rest] = positionals;
  if (name === 'config' && rest.length === 0) {
    if (verb === 'show' || verb === 'check' || verb === 'example') return { name, verb };
    if (verb === undefined) throw usage('config needs one of: show, check, example');
  }
  if (name === 'run' && verb === undefined) return { name };
  throw usage(`unknown command "${positionals.join(' ')}"`);
}

/** What help and `config` tell of a daemon. */
export interface DaemonText {
  readonly program: string;
  /** What it is, in half a sentence. */
  readonly summary: string;
  /** What it does when it runs. */
  readonly running: string;
  /** Commands of its own with their meaning. */
  readonly commands?: readonly (readonly [words: string, meaning: string])[];
  readonly table: Table;
  readonly envPrefix: string;
  readonly configFile: string;
}

export function daemonHelp(daemon: DaemonText): string {
  const { program, table, envPrefix, configFile } = daemon;
  const commands = [
    ['[run]', daemon.running],
    ...(daemon.commands ?? []),
    ['config show', 'every option with its value and origin'],
    ['config check', 'report all problems of the configuration'],
    ['config example', 'print a commented configuration file'],
    ['version', ''],
  ] as const;
  const width = Math.max(...commands.map(([words]) => words.length));
  const lines = commands.map(([words, meaning]) => `  ${program} ${words.padEnd(width)}  ${meaning}`.trimEnd());
  const options = helpLines(table, envPrefix).map(({ flag, text }) => `  ${flag}\n      ${text}`);
  return `${program}: ${daemon.summary}

${lines.join('\n')}

Options (--config FILE names the file, default ${configFile}):
${options.join('\n')}
`;
}

/** Text of `config VERB`; a bad configuration throws before. */
export function daemonConfigText(verb: ConfigVerb, daemon: DaemonText, load: () => Loaded<Table>): string {
  const { program, table, envPrefix } = daemon;
  if (verb === 'example') return renderExample(table, { title: `Configuration of ${program}`, envPrefix });
  const loaded = load();
  if (verb === 'check') return 'the configuration is valid\n';
  const rows = showConfig(table, loaded);
  const width = Math.max(...rows.map((row) => row.key.length));
  return rows
    .map(({ key, value, origin }) => `${key.padEnd(width)}  ${value === '' ? '-' : value}  (${origin.where})\n`)
    .join('');
}
