/**
 * The command contract: a command is a value. The argv parser, `--help`, shell completion and the reference page are
 * all made from it, so they cannot disagree. A command returns a Result; only main.ts writes it out.
 */
import type { Context } from './context.ts';
import type { Result } from './result.ts';

/** What completes a value in the shell. */
export type Completer = 'node' | 'container' | 'image' | 'operation' | 'file' | 'none';

export interface ArgumentDefinition {
  readonly name: string;
  readonly help: string;
  readonly optional?: boolean;
  /** Takes all the rest. */
  readonly variadic?: boolean;
  /** The few words that are right, where they are few. */
  readonly choices?: readonly string[];
  readonly complete?: Completer;
}

/** flag = present or not; text = one value; list = may be repeated; selector = value optional. */
export type OptionKind = 'flag' | 'text' | 'list' | 'selector';

export interface OptionDefinition {
  readonly kind: OptionKind;
  /** Long flag without dashes. */
  readonly flag: string;
  readonly short?: string;
  readonly help: string;
  /** Placeholder of the value in --help. */
  readonly value?: string;
  readonly choices?: readonly string[];
  readonly complete?: Completer;
}

export type OptionTable = Readonly<Record<string, OptionDefinition>>;

type OptionValue<D extends OptionDefinition> = D['kind'] extends 'flag'
  ? boolean
  : D['kind'] extends 'list'
    ? readonly string[]
    : D['kind'] extends 'selector'
      ? string | true | undefined
      : string | undefined;

export type OptionValues<T extends OptionTable> = { readonly [K in keyof T]: OptionValue<T[K]> };

export interface Input<T extends OptionTable> {
  readonly args: readonly string[];
  readonly options: OptionValues<T>;
}

export interface Command {
  /** "container list" */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly args: readonly ArgumentDefinition[];
  readonly options: OptionTable;
  readonly examples: readonly string[];
  /** The last argument is somebody else's program with options of its own: they stand behind "--". */
  readonly passThrough: boolean;
  /** Called by scripts only: neither help nor completion shows it. */
  readonly hidden: boolean;
  readonly run: (context: Context, input: Input<OptionTable>) => Promise<Result>;
}

export interface CommandDefinition<T extends OptionTable> {
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly args?: readonly ArgumentDefinition[];
  readonly options?: T;
  readonly examples?: readonly string[];
  readonly passThrough?: boolean;
  readonly hidden?: boolean;
  readonly run: (context: Context, input: Input<T>) => Promise<Result>;
}

/** Define a command; the option values that `run` gets are typed by its option table. */
export function command<const T extends OptionTable>(definition: CommandDefinition<T>): Command {
  return {
    path: definition.path,
    summary: definition.summary,
    ...(definition.description === undefined ? {} : { description: definition.description }),
    args: definition.args ?? [],
    options: definition.options ?? {},
    examples: definition.examples ?? [],
    passThrough: definition.passThrough ?? false,
    hidden: definition.hidden ?? false,
    run: definition.run as unknown as Command['run'],
  };
}

/** The argument at `index`; the parser has made sure that it is there. */
export function argument(input: Input<OptionTable>, index: number): string {
  const value = input.args[index];
  if (value === undefined) throw new Error(`argument ${index} was not declared`);
  return value;
}
