/**
 * Option parsing as Getopt::Long does it with Proxmox VE's settings (pve-common src/PVE/JSONSchema.pm get_options):
 * `-x` and `--x`, names case-insensitive and unique prefixes enough, a boolean takes a value only when the next word
 * does not look like an option, list options collect, options and positionals mix, `--` ends the options.
 */

import { type Parameters, type Properties, parseBoolean } from './property.ts';
import { optionNames, propertyOf } from './schema-data.ts';

/** The call cannot be understood; `lines` are what the option parser itself says on stderr before the error. */
export class UsageError extends Error {
  readonly lines: readonly string[];
  constructor(message: string, lines: readonly string[] = []) {
    super(message);
    this.name = 'UsageError';
    this.lines = lines;
  }
}

export interface OptionRules {
  readonly params: Properties;
  readonly positional: readonly string[];
  readonly fixed: Readonly<Record<string, string>>;
}

type Kind = 'boolean' | 'asked' | 'list' | 'single';

interface State {
  readonly byName: ReadonlyMap<string, string>;
  readonly kindOf: (option: string) => Kind;
  readonly values: Map<string, string[]>;
  readonly lines: string[];
}

export function parseOptions(argv: readonly string[], rules: OptionRules): Parameters {
  const state: State = {
    byName: new Map(
      optionNames(rules.params)
        .filter((name) => rules.fixed[name] === undefined)
        .map((name) => [name.toLowerCase(), name]),
    ),
    kindOf: (option) => kindOf(rules.params, option),
    values: new Map(),
    lines: [],
  };
  const positionals = readWords([...argv], state);
  if (state.lines.length > 0) throw new UsageError('400 unable to parse option\n', state.lines);
  const parameters = placePositionals(positionals, rules, state);
  for (const [option, values] of state.values) {
    parameters[option] = convert(state.kindOf(option), values);
  }
  return { ...parameters, ...rules.fixed };
}

function kindOf(params: Properties, option: string): Kind {
  const property = propertyOf(params, option);
  if (property?.type === 'boolean') return 'boolean';
  if (property?.interactive !== undefined) return 'asked';
  return property?.type === 'array' || /-list/.test(property?.format ?? '') ? 'list' : 'single';
}

function readWords(words: string[], state: State): string[] {
  const positionals: string[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === '--') return [...positionals, ...words];
    if (/^-./s.test(word)) readOption(word, words, state);
    else positionals.push(word);
  }
  return positionals;
}

function readOption(word: string, rest: string[], state: State): void {
  const [, given = '', inline] = /^--?([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
  const option = findOption(given, state);
  if (option === undefined) return;
  const kind = state.kindOf(option);
  const value = inline ?? takeValue(rest, kind);
  if (value === undefined || (inline === '' && !mayBeBare(kind))) {
    state.lines.push(`Option ${given} requires an argument\n`);
    return;
  }
  const before = state.values.get(option) ?? [];
  state.values.set(option, kind === 'list' ? [...before, value] : [value]);
}

function mayBeBare(kind: Kind): boolean {
  return kind === 'boolean' || kind === 'asked';
}

/** An option that may stand alone leaves a next word that looks like an option; everything else takes what comes. */
function takeValue(rest: string[], kind: Kind): string | undefined {
  const isBare = mayBeBare(kind) && (rest[0] === undefined || /^-./s.test(rest[0]));
  return isBare ? '' : rest.shift();
}

function findOption(given: string, state: State): string | undefined {
  const wanted = given.toLowerCase();
  const exact = state.byName.get(wanted);
  if (exact !== undefined) return exact;
  const hits = wanted === '' ? [] : [...state.byName.keys()].filter((name) => name.startsWith(wanted)).sort();
  if (hits.length === 1) return state.byName.get(hits[0] ?? '');
  state.lines.push(
    hits.length === 0 ? `Unknown option: ${given}\n` : `Option ${given} is ambiguous (${hits.join(', ')})\n`,
  );
  return undefined;
}

function placePositionals(words: string[], rules: OptionRules, state: State): Parameters {
  const placed: Parameters = {};
  for (const [index, name] of rules.positional.entries()) {
    if (name === 'extra-args') {
      placed[name] = words.splice(0);
      continue;
    }
    const word = words.shift();
    if (word === undefined) {
      const isNeeded = rules.positional
        .slice(index)
        .some((left) => left !== 'extra-args' && rules.params[left]?.optional !== 1);
      if (isNeeded) throw new UsageError('400 not enough arguments\n');
      if (rules.positional.at(-1) === 'extra-args') placed['extra-args'] = [];
      return placed;
    }
    state.values.delete(name);
    placed[name] = word;
  }
  if (words.length > 0) throw new UsageError('400 too many arguments\n');
  return placed;
}

function convert(kind: Kind, values: readonly string[]): string | number {
  if (kind === 'list') return values.join(',');
  const value = values.at(-1) ?? '';
  if (kind !== 'boolean') return value;
  const word = value === '' ? 1 : parseBoolean(value);
  if (word === undefined) throw new UsageError('400 unable to parse boolean option\n');
  return word;
}
