/**
 * config/: one option table per program; from it come the loader, the example file, the reference page, the flags and
 * `config show`. Order: default < file < environment < flag. Keys are snake_case in files, `--kebab-case` as flags,
 * PREFIX_UPPER_CASE in the environment, all derived from the table and never typed by hand. This room reads files and
 * the environment it is given; it keeps no global state and knows no option of any program.
 */
import { parseDuration, parseSize } from '@pxmgr/contract';
import * as z from 'zod';

export interface Field<T extends z.ZodType = z.ZodType> {
  readonly type: T;
  /** In the written form ("30s"), checked by `type` like any other value. Without it the option is required unless `type` is optional. */
  readonly default?: z.input<T>;
  /** One sentence for help, example file and reference page. */
  readonly description: string;
  /** A value for the example file when there is no default. */
  readonly example?: string;
  readonly env?: string;
  readonly flag?: string;
  /** The value lies in a file: `<key>_file`, or `<key>` below $CREDENTIALS_DIRECTORY. Never in the file, environment or argv itself. */
  readonly secret?: boolean;
  /** May change on SIGHUP; others need a restart. */
  readonly reload?: boolean;
}

export type Table = Readonly<Record<string, Field>>;
export type Values<T extends Table> = { readonly [K in keyof T]: z.output<T[K]['type']> };

/** One option. */
export function field<T extends z.ZodType>(spec: Field<T>): Field<T> {
  return spec;
}

function withUnit(parse: typeof parseDuration, example: string) {
  return z.unknown().transform((value, context): number => {
    if (typeof value !== 'string') {
      context.addIssue({ code: 'custom', message: `must be text with a unit, e.g. ${example}` });
      return z.NEVER;
    }
    const parsed = parse(value);
    if (parsed.ok) return parsed.value;
    context.addIssue({ code: 'custom', message: parsed.reason });
    return z.NEVER;
  });
}

/** "30s", "15m", "2h" as milliseconds; a plain number is refused. */
export function durationMs(): z.ZodType<number, string> {
  return withUnit(parseDuration, '"30s"') as unknown as z.ZodType<number, string>;
}

/** "20GiB" as bytes; a plain number is refused. */
export function sizeBytes(): z.ZodType<number, string> {
  return withUnit(parseSize, '"20GiB"') as unknown as z.ZodType<number, string>;
}

/** The names of one option in its three written forms. */
export interface FieldNames {
  /** As it stands in the table and in the values. */
  readonly key: string;
  /** As it stands in the file. */
  readonly file: string;
  readonly env: string;
  /** With the two leading dashes. */
  readonly flag: string;
}

/** `hostRoot` and `host_root` both become host_root. */
export function snakeCase(key: string): string {
  return key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
}

/** Names of every option; two options with one name are a programmer's error. */
export function namesOf(table: Table, envPrefix: string): FieldNames[] {
  const names = Object.entries(table).map(([key, option]) => {
    const file = option.secret === true ? `${snakeCase(key)}_file` : snakeCase(key);
    return {
      key,
      file,
      env: option.env ?? `${envPrefix}${file.toUpperCase()}`,
      flag: option.flag ?? `--${file.replaceAll('_', '-')}`,
    };
  });
  for (const form of ['file', 'env', 'flag'] as const) {
    const owners = new Map<string, string>();
    for (const name of names) {
      const owner = owners.get(name[form]);
      if (owner !== undefined)
        throw new Error(`options ${owner} and ${name.key} both have the ${form} name ${name[form]}`);
      owners.set(name[form], name.key);
    }
  }
  return names;
}
