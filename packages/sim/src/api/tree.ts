/** All paths of the API with their methods, and a folder of it as `pvesh ls` shows one (pve-manager PVE/CLI/pvesh.pm). */
import { apiPaths } from '../schema/schema-data.ts';

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

function matches(template: readonly string[], path: readonly string[]): boolean {
  return path.every((part, n) => template[n] === part || template[n]?.startsWith('{') === true);
}

/** Methods by their HTTP verbs; undefined when upstream has no such path. */
export function methodsOf(path: string): readonly string[] | undefined {
  const wanted = parts(path);
  const found = Object.entries(apiPaths())
    .map(([template, verbs]) => [parts(template), verbs] as const)
    .filter(([template]) => template.length === wanted.length && matches(template, wanted))
    // A name written out goes before a parameter.
    .sort(([a], [b]) => literals(b) - literals(a))[0];
  return found?.[1].split(' ');
}

function literals(template: readonly string[]): number {
  return template.filter((part) => !part.startsWith('{')).length;
}

export function isFolder(path: string): boolean {
  const wanted = parts(path);
  return Object.keys(apiPaths()).some((template) => {
    const words = parts(template);
    return words.length > wanted.length && matches(words.slice(0, wanted.length), wanted);
  });
}

const LETTERS = { GET: 'r', PUT: 'w', POST: 'c', DELETE: 'd' } as const;

/** `Dr-c-        snapshot`: a folder, and which methods it has. */
export function listedLine(path: string, name: string): string {
  const methods = methodsOf(`${path}/${name}`) ?? [];
  const letters = Object.entries(LETTERS).map(([verb, letter]) => (methods.includes(verb) ? letter : '-'));
  return `${isFolder(`${path}/${name}`) ? 'D' : '-'}${letters.join('')}        ${name}\n`;
}

/** The field of a row that names a child. */
const NAME_FIELDS = ['subdir', 'name', 'vmid', 'node', 'storage', 'upid', 'volid', 'id'] as const;

export function childNames(rows: readonly unknown[]): string[] {
  const nameOf = (row: unknown): string | undefined => {
    const fields = Object(row) as Record<string, unknown>;
    const key = NAME_FIELDS.find((field) => fields[field] !== undefined);
    return key === undefined ? undefined : String(fields[key]);
  };
  return rows
    .map(nameOf)
    .filter((name) => name !== undefined)
    .sort();
}
