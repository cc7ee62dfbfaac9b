/** One parser or builder under fire. */
import { hasControlCharacters, type Parsed } from '@pxmgr/contract';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import { checkCommand } from '@pxmgr/kit/exec/check-command';
import type { Command } from '@pxmgr/kit/exec/command';
import type fc from 'fast-check';
import { expect } from 'vitest';

export interface Row {
  /** The exported functions that it tries. */
  readonly of: readonly string[];
  readonly input: fc.Arbitrary<unknown>;
  /** Throws when something is wrong; a PxmError is no crash. */
  readonly check: (input: never) => unknown;
  /** Fewer runs in `npm test` for what is slow; the soak has them all. */
  readonly runs?: number;
  /** A text goes in: long ones are tried too. */
  readonly isText: boolean;
  /** Names of the plain errors that its contract promises for input that is none. */
  readonly mayThrow?: readonly string[];
}

type More = Partial<Pick<Row, 'runs' | 'mayThrow'>>;

/** A function of one text. */
// eslint-disable-next-line @typescript-eslint/max-params -- reads as a line of a table
export function textRow(
  of: string | readonly string[],
  input: fc.Arbitrary<string>,
  check: (text: string) => unknown,
  more: More = {},
): Row {
  return { of: [of].flat(), input, check, isText: true, ...more };
}

// eslint-disable-next-line @typescript-eslint/max-params -- reads as a line of a table
export function row<T>(
  of: string | readonly string[],
  input: fc.Arbitrary<T>,
  check: (value: T) => unknown,
  more: More = {},
): Row {
  return { of: [of].flat(), input, check, isText: false, ...more };
}

/** Runs the check; what the contract allows to be thrown is caught. */
export async function tried(one: Row, input: unknown): Promise<void> {
  try {
    await one.check(input as never);
  } catch (error) {
    if (isPxmError(error) && error.code !== 'PXM_INTERNAL') return;
    if (error instanceof Error && one.mayThrow?.includes(error.constructor.name) === true) return;
    throw error;
  }
}

/** A name that may stand alone in an argv: no option, nothing that a terminal or a config file would obey. */
export function expectPlain(word: string): void {
  expect(hasControlCharacters(word), JSON.stringify(word)).toBe(false);
  expect(word.startsWith('-'), JSON.stringify(word)).toBe(false);
}

/** What a name parser lets through is plain, and is let through again as it is. */
export function plainName<T extends string>(parse: (text: string) => Parsed<T>): (text: string) => void {
  return (text) => {
    const parsed = parse(text);
    if (!parsed.ok) {
      expect(parsed.reason).not.toBe('');
      return;
    }
    expectPlain(parsed.value);
    expect(parse(parsed.value)).toEqual(parsed);
  };
}

/**
 * The argv of a command: words that no pipe or log can be broken with, and no word that stands alone and begins with a
 * dash but those that the builder writes itself (`options`).
 */
export function expectSound(
  command: Command,
  options: { readonly isOption: (word: string) => boolean; readonly mayHoldLines?: (before: string) => boolean },
): void {
  checkCommand(command);
  const { args } = command;
  const faults = args.filter((word, index) => {
    const before = args[index - 1] ?? '';
    const text = options.mayHoldLines?.(before) === true ? word.replaceAll('\n', '') : word;
    // A value has its option before it; an option's own spelling comes from the builder.
    const isValue = before.startsWith('-') && options.isOption(before);
    return hasControlCharacters(text) || (word.startsWith('-') && !isValue && !options.isOption(word));
  });
  expect(faults, args.join(' ')).toEqual([]);
}
