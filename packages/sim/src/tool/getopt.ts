/** Options in the manner of getopt(3): letters may be joined, values attached, and options may follow operands. */

export interface Getopt {
  /** Letters given, with the values of those that take one, in their order. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

export class GetoptError extends Error {}

/** `letters` is getopt's: a letter followed by `:` takes a value. Long names are mapped to letters by `long`. */
export function getopt(argv: readonly string[], letters: string, long: Readonly<Record<string, string>> = {}): Getopt {
  const options = new Map<string, string[]>();
  const add = (letter: string, value: string): void => {
    options.set(letter, [...(options.get(letter) ?? []), value]);
  };
  const operands: string[] = [];
  const words = [...argv];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === '--') {
      operands.push(...words);
      break;
    }
    if (word.startsWith('--')) add(long[word.slice(2)] ?? invalid(word.slice(2)), '');
    else if (word.startsWith('-') && word !== '-') readLetters(word, { letters, words, add });
    else operands.push(word);
  }
  return { options, operands };
}

function invalid(name: string): never {
  throw new GetoptError(`invalid option '${name}'`);
}

interface Reading {
  readonly letters: string;
  /** What follows; a value that is not attached is taken from here. */
  readonly words: string[];
  readonly add: (letter: string, value: string) => void;
}

function readLetters(word: string, { letters, words, add }: Reading): void {
  for (let i = 1; i < word.length; i += 1) {
    const letter = word.charAt(i);
    const index = letter === ':' ? -1 : letters.indexOf(letter);
    if (index < 0) invalid(letter);
    if (letters.charAt(index + 1) !== ':') {
      add(letter, '');
      continue;
    }
    const attached = word.slice(i + 1);
    const value = attached === '' ? words.shift() : attached;
    if (value === undefined) throw new GetoptError(`missing argument for '${letter}' option`);
    add(letter, value);
    return;
  }
}

export function has(parsed: Getopt, letter: string): boolean {
  return parsed.options.has(letter);
}

export function last(parsed: Getopt, letter: string): string | undefined {
  return parsed.options.get(letter)?.at(-1);
}
