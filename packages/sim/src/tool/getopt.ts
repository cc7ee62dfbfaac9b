/** Options in the manner of getopt(3): letters may be joined, values attached, and options may follow operands. */

export interface Getopt {
  /** Letters given, with the values of those that take one, in their order. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

export class GetoptError extends Error {}

/**
 * `letters` is getopt's: a letter followed by `:` takes a value, and a `:` before all says that a missing value is told
 * apart from an unknown letter. `long` maps names to letters; without it a word after `--` is taken for letters.
 */
export function getopt(argv: readonly string[], letters: string, long?: Readonly<Record<string, string>>): Getopt {
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
    if (word.startsWith('--') && long !== undefined) readLong(word, { letters, words, add }, long);
    else if (word.startsWith('-') && word !== '-') readLetters(word, { letters, words, add });
    else operands.push(word);
  }
  return { options, operands };
}

function invalid(name: string): never {
  throw new GetoptError(`invalid option '${name}'`);
}

/** The programs print the letter of an unknown option, and an unknown name has none. */
const NO_LETTER = '\0';

function readLong(word: string, reading: Reading, long: Readonly<Record<string, string>>): void {
  const [name = '', ...rest] = word.slice(2).split('=');
  const letter = long[name] ?? invalid(NO_LETTER);
  const given = word.includes('=') ? rest.join('=') : undefined;
  if (takesValue(reading.letters, letter))
    reading.add(letter, given ?? reading.words.shift() ?? missing(reading, letter));
  else if (given === undefined) reading.add(letter, '');
  else invalid(letter);
}

function takesValue(letters: string, letter: string): boolean {
  return letters.charAt(letters.indexOf(letter) + 1) === ':' && letters.includes(letter);
}

function missing({ letters }: Reading, letter: string): never {
  return letters.startsWith(':') ? refuse(`missing argument for '${letter}' option`) : invalid(letter);
}

function refuse(text: string): never {
  throw new GetoptError(text);
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
    if (letter === ':' || !letters.includes(letter)) invalid(letter);
    if (!takesValue(letters, letter)) {
      add(letter, '');
      continue;
    }
    const attached = word.slice(i + 1);
    add(letter, attached === '' ? (words.shift() ?? missing({ letters, words, add }, letter)) : attached);
    return;
  }
}

export function has(parsed: Getopt, letter: string): boolean {
  return parsed.options.has(letter);
}

export function last(parsed: Getopt, letter: string): string | undefined {
  return parsed.options.get(letter)?.at(-1);
}
