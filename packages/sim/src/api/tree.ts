/** All paths of the API with their methods, and a folder of it as `pvesh ls` shows one (pve-manager PVE/CLI/pvesh.pm). */
import { apiPaths, type ReadMethod, readMethods } from '../schema/schema-data.ts';

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

/** The id of a volume has slashes of its own. */
const OPEN_END = '{volume}';

function matches(template: readonly string[], path: readonly string[]): boolean {
  return path.every((part, n) => template[n] === part || template[n]?.startsWith('{') === true);
}

interface FoundPath {
  /** As upstream writes it, with its parameters in braces. */
  readonly template: string;
  readonly verbs: readonly string[];
  /** What the path gives for the parameters. */
  readonly given: Readonly<Record<string, string>>;
}

/** undefined when upstream has no such path. */
export function findPath(path: string): FoundPath | undefined {
  const asked = parts(path);
  const found = Object.entries(apiPaths())
    .map(([template, verbs]) => ({ template, words: parts(template), verbs }))
    .map((one) => ({ ...one, wanted: one.words.at(-1) === OPEN_END ? joined(asked, one.words.length) : asked }))
    .filter(({ words, wanted }) => words.length === wanted.length && matches(words, wanted))
    // A name written out goes before a parameter.
    .sort((a, b) => literals(b.words) - literals(a.words))[0];
  if (found === undefined) return undefined;
  const given = found.words.flatMap((word, n) =>
    word.startsWith('{') ? [[word.slice(1, -1), decodeURIComponent(found.wanted[n] ?? '')] as const] : [],
  );
  return { template: found.template, verbs: found.verbs.split(' '), given: Object.fromEntries(given) };
}

function joined(words: readonly string[], length: number): string[] {
  return words.length < length ? [...words] : [...words.slice(0, length - 1), words.slice(length - 1).join('/')];
}

function literals(template: readonly string[]): number {
  return template.filter((part) => !part.startsWith('{')).length;
}

/** undefined: no such method, or one whose parameters are not in the data. */
export function readMethodOf(path: string): ReadMethod | undefined {
  const template = findPath(path)?.template;
  return template === undefined ? undefined : readMethods()[template];
}

function isFolder(path: string): boolean {
  const known = readMethodOf(path);
  if (known !== undefined) return known.returns?.child !== undefined;
  const wanted = parts(path);
  return Object.keys(apiPaths()).some((template) => {
    const words = parts(template);
    return words.length > wanted.length && matches(words.slice(0, wanted.length), wanted);
  });
}

const LETTERS = { GET: 'r', PUT: 'w', POST: 'c', DELETE: 'd' } as const;

/** `Dr-c-`: a folder, and which methods it has. */
export function capabilities(path: string): string {
  const methods = findPath(path)?.verbs ?? [];
  const letters = Object.entries(LETTERS).map(([verb, letter]) => (methods.includes(verb) ? letter : '-'));
  return `${methods.includes('GET') && isFolder(path) ? 'D' : '-'}${letters.join('')}`;
}
