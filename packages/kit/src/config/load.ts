import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse as parseYamlText } from 'yaml';
import * as z from 'zod';
import { PxmError } from '../error/pxm-error.ts';
import { systemCode } from '../error/to-problem.ts';
import { registerSecret } from '../log/redact.ts';
import { closest } from './closest.ts';
import { type Field, type FieldNames, namesOf, snakeCase, type Table, type Values } from './field.ts';
import type { Origin } from './origin.ts';
import { reasonOf } from './reason.ts';
import { type ConfigProblem, type FoundValue, readYamlFile } from './yaml-file.ts';

export interface LoadOptions {
  /** For messages: "pxmgr-agent". */
  program: string;
  file?: string;
  /** True for the default path: an absent file then means defaults. */
  fileOptional?: boolean;
  env: Readonly<Record<string, string | undefined>>;
  /** By flag name without dashes, by file key, or by table key. */
  flags: Readonly<Record<string, string | undefined>>;
  envPrefix: string;
}

export interface Loaded<T extends Table> {
  readonly values: Values<T>;
  readonly origins: Readonly<Record<keyof T & string, Origin>>;
  /** The values as they were written ("200ms"), without secrets. */
  readonly written: Readonly<Record<string, unknown>>;
}

interface Candidate {
  readonly origin: Origin;
  readonly found: FoundValue;
  /** Environment and flags carry text; it is read as the type wants it. */
  readonly isText: boolean;
}

/** Reads, checks and freezes the configuration. Throws PXM_CONFIG_UNREADABLE, or PXM_CONFIG_INVALID with all problems at once. */
export function loadConfig<T extends Table>(table: T, options: LoadOptions): Loaded<T> {
  const names = namesOf(table, options.envPrefix);
  const problems: ConfigProblem[] = [];
  const candidates = new Map<string, Candidate>();
  takeFile(names, options, { candidates, problems });
  takeEnvironment(names, options, { candidates, problems });
  takeFlags(names, options, { candidates, problems });
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  const written: Record<string, unknown> = {};
  for (const name of names) {
    const option = table[name.key] as Field;
    const candidate = candidates.get(name.key);
    const chosen =
      option.secret === true ? readSecret(name, candidate, { options, problems }) : (candidate ?? byDefault(option));
    origins[name.key] = chosen?.origin ?? { kind: 'default', where: 'default' };
    if (option.secret !== true) written[name.key] = chosen?.found.value;
    values[name.key] = check(option, name, { chosen, problems });
  }
  if (problems.length > 0) throw configInvalid(options.program, problems);
  return { values: deepFreeze(values) as Values<T>, origins: Object.freeze(origins), written };
}

/** All problems in one error, one per line below the headline. */
export function configInvalid(program: string, problems: readonly ConfigProblem[]): PxmError {
  const inOrder = [...problems].sort((a, b) => lineOf(a) - lineOf(b));
  const texts = inOrder.map(
    (problem) => `${problem.where}: ${problem.key === '' ? '' : `${problem.key} `}${problem.message}`,
  );
  return new PxmError('PXM_CONFIG_INVALID', { program, count: String(problems.length), problems: texts.join('; ') });
}

/** Problems of the file come first, from top to bottom. */
function lineOf({ where }: ConfigProblem): number {
  const line = /:(\d+)$/.exec(where)?.[1];
  return line === undefined ? Number.MAX_SAFE_INTEGER : Number(line);
}

interface Gathered {
  readonly candidates: Map<string, Candidate>;
  readonly problems: ConfigProblem[];
}

function takeFile(names: readonly FieldNames[], options: LoadOptions, into: Gathered): void {
  if (options.file === undefined) return;
  const file = readYamlFile(options.file, options.fileOptional ?? false);
  if (file === undefined) return;
  into.problems.push(...file.problems);
  for (const [key, found] of file.values) {
    const name = names.find((one) => one.file === key);
    const where = found.where([]);
    if (name === undefined) into.problems.push({ where, key, message: unknownKey(key, names) });
    else if (found.value !== null)
      into.candidates.set(name.key, { origin: { kind: 'file', where }, found, isText: false });
  }
}

function unknownKey(key: string, names: readonly FieldNames[]): string {
  if (names.some((name) => name.file === `${key}_file`))
    return `is a secret: put it into a file and name that file with ${key}_file`;
  const near = closest(
    key,
    names.map((name) => name.file),
  );
  return near === undefined ? 'is not known' : `is not known, did you mean ${near}?`;
}

function takeEnvironment(names: readonly FieldNames[], options: LoadOptions, into: Gathered): void {
  for (const name of names) {
    const text = options.env[name.env];
    if (text === undefined || text === '') continue;
    into.candidates.set(name.key, textCandidate(text, { kind: 'env', where: name.env }));
  }
  // A near miss is a mistake; other variables with the prefix may belong to another program.
  const known = names.map((name) => name.env);
  for (const variable of Object.keys(options.env)) {
    if (!variable.startsWith(options.envPrefix) || known.includes(variable)) continue;
    const near = closest(
      variable.slice(options.envPrefix.length),
      known.map((one) => one.slice(options.envPrefix.length)),
    );
    if (near !== undefined)
      into.problems.push({
        where: variable,
        key: '',
        message: `is not known, did you mean ${options.envPrefix}${near}?`,
      });
  }
}

function takeFlags(names: readonly FieldNames[], options: LoadOptions, into: Gathered): void {
  for (const [flag, text] of Object.entries(options.flags)) {
    if (text === undefined) continue;
    const wanted = `--${snakeCase(flag.replace(/^--/, '')).replaceAll('_', '-')}`;
    const name = names.find((one) => one.flag === wanted);
    if (name !== undefined) into.candidates.set(name.key, textCandidate(text, { kind: 'flag', where: wanted }));
    else {
      const near = closest(
        wanted,
        names.map((one) => one.flag),
      );
      into.problems.push({
        where: wanted,
        key: '',
        message: near === undefined ? 'is not known' : `is not known, did you mean ${near}?`,
      });
    }
  }
}

function textCandidate(text: string, origin: Origin): Candidate {
  return { origin, found: { value: text, where: () => origin.where }, isText: true };
}

function byDefault(option: Field): Candidate | undefined {
  if (option.default === undefined) return undefined;
  return {
    origin: { kind: 'default', where: 'default' },
    found: { value: option.default, where: () => 'default' },
    isText: false,
  };
}

interface SecretContext {
  readonly options: LoadOptions;
  readonly problems: ConfigProblem[];
}

function readSecret(name: FieldNames, candidate: Candidate | undefined, context: SecretContext): Candidate | undefined {
  const folder = context.options.env['CREDENTIALS_DIRECTORY'];
  const credential = folder === undefined ? undefined : join(folder, snakeCase(name.key));
  const path = candidate === undefined ? credential : String(candidate.found.value);
  if (path === undefined) return undefined;
  try {
    const secret = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    registerSecret(secret);
    const origin: Origin =
      candidate === undefined ? { kind: 'credential', where: `credential ${basename(path)}` } : candidate.origin;
    return { origin, found: { value: secret, where: () => origin.where }, isText: false };
  } catch (error) {
    if (candidate === undefined && systemCode(error) === 'ENOENT') return undefined;
    context.problems.push({
      where: candidate?.origin.where ?? 'credential',
      key: name.file,
      message: `${path} cannot be read (${systemCode(error) ?? 'error'})`,
    });
    return undefined;
  }
}

interface CheckContext {
  readonly chosen: Candidate | undefined;
  readonly problems: ConfigProblem[];
}

function check(option: Field, name: FieldNames, { chosen, problems }: CheckContext): unknown {
  if (chosen === undefined) {
    const empty = option.type.safeParse(undefined);
    if (empty.success) return empty.data;
    if (!problems.some((problem) => problem.key === name.file))
      problems.push({ where: 'missing', key: name.file, message: `is required (${name.env}, ${name.flag})` });
    return undefined;
  }
  const results = readings(chosen).map((value) => option.type.safeParse(value));
  const good = results.find((result) => result.success);
  if (good !== undefined) return good.data;
  const failure = results[0]?.error ?? new z.ZodError([]);
  for (const issue of failure.issues) {
    const path = issue.path.length === 0 ? name.file : `${name.file}.${issue.path.map(String).join('.')}`;
    problems.push({
      where: chosen.found.where(issue.path),
      key: path,
      message: option.secret === true ? 'is not valid' : reasonOf(issue),
    });
  }
  return undefined;
}

/** The readings of a text value, most literal first: as it stands, as a YAML scalar or list, as a comma list. */
function readings(candidate: Candidate): unknown[] {
  const { value } = candidate.found;
  if (!candidate.isText || typeof value !== 'string') return [value];
  return [value, yamlValue(value), value.split(',').map((item) => item.trim())];
}

function yamlValue(text: string): unknown {
  try {
    return parseYamlText(text);
  } catch {
    // Not YAML: the literal reading stands.
    return text;
  }
}

function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || Object.isFrozen(value))
    return value;
  for (const item of Object.values(value)) deepFreeze(item);
  return Object.freeze(value);
}
