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
  const add = (letter: string, value: string): void =>
    void options.set(letter, [...(options.get(letter) ?? []), value]);
  const operands: string[] = [];
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (word === '--') {
      operands.push(...argv.slice(at + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      operands.push(word);
      continue;
    }
    const name = word.startsWith('--') ? long[word.slice(2)] : undefined;
    if (word.startsWith('--')) {
      if (name === undefined) throw new GetoptError(`invalid option '${word.slice(2)}'`);
      add(name, '');
      continue;
    }
    for (let i = 1; i < word.length; i += 1) {
      const letter = word.charAt(i);
      const index = letters.indexOf(letter);
      if (index < 0 || letter === ':') throw new GetoptError(`invalid option '${letter}'`);
      if (letters.charAt(index + 1) !== ':') {
        add(letter, '');
        continue;
      }
      const attached = word.slice(i + 1);
      if (attached === '') at += 1;
      const value = attached === '' ? argv[at] : attached;
      if (value === undefined) throw new GetoptError(`missing argument for '${letter}' option`);
      add(letter, value);
      break;
    }
  }
  return { options, operands };
}

export function has(parsed: Getopt, letter: string): boolean {
  return parsed.options.has(letter);
}

export function last(parsed: Getopt, letter: string): string | undefined {
  return parsed.options.get(letter)?.at(-1);
}
