/** Which objects `zfs list` and `zfs get` speak of: names, paths, types and depth (cmd/zfs/zfs_iter.c). */

import { openText } from '../pool/names.ts';
import { isKnownProperty } from '../pool/properties.ts';
import { propertyName } from '../pool/property-table.ts';
import { type Getopt, GetoptError, has, last } from './getopt.ts';
import { type ObjectType, typeOf, type View, type ZfsObject } from './zfs-object.ts';
import { allObjects, objectNamed, pathProblem, valueOf } from './zfs-table.ts';

const TYPES: Readonly<Record<string, ObjectType>> = {
  filesystem: 'filesystem',
  fs: 'filesystem',
  volume: 'volume',
  vol: 'volume',
  snapshot: 'snapshot',
  snap: 'snapshot',
  bookmark: 'bookmark',
};
const ALL: readonly ObjectType[] = ['filesystem', 'volume', 'snapshot', 'bookmark'];

export interface Chosen {
  readonly objects: readonly ZfsObject[];
  /** One text for each name that could not be opened. */
  readonly problems: readonly string[];
}

/** Named objects, with what lies below when -r, -d or a type other than their own asks for it. */
export function choose(
  view: View,
  call: Getopt,
  at: { names: readonly string[]; byDefault: readonly ObjectType[] },
): Chosen {
  const types = typesOf(call, at.byDefault);
  const all = allObjects(view.state);
  const depth = depthOf(call, types);
  if (at.names.length === 0) {
    const limit = last(call, 'd') === undefined ? Number.POSITIVE_INFINITY : depth;
    const found = all.filter((object) => types.has(typeOf(object)) && levelsOf(object.name) - 1 <= limit);
    return { objects: found, problems: [] };
  }
  const problems: string[] = [];
  const wanted = new Set<string>();
  for (const argument of at.names) {
    const object = objectNamed(view, argument);
    const problem = object === undefined ? missingText(view, argument) : typeProblem(call, object, { types, depth });
    if (object === undefined || problem !== undefined) problems.push(problem ?? '');
    else for (const found of below(all, object, depth)) if (isWanted(found, object, types)) wanted.add(found.name);
  }
  return { objects: all.filter((object) => wanted.has(object.name)), problems };
}

function isWanted(found: ZfsObject, asked: ZfsObject, types: ReadonlySet<ObjectType>): boolean {
  if (found.name === asked.name && (asked.snapshot !== undefined || asked.bookmark !== undefined)) return true;
  return types.has(typeOf(found));
}

function missingText(view: View, name: string): string {
  return `${pathProblem(view.host, name) ?? openText(name, 'any')}\n`;
}

function typeProblem(
  call: Getopt,
  object: ZfsObject,
  at: { types: ReadonlySet<ObjectType>; depth: number },
): string | undefined {
  if (last(call, 't') === undefined || at.depth > 0 || at.types.has(typeOf(object))) return undefined;
  return `cannot open '${object.name}': operation not applicable to datasets of this type\n`;
}

function typesOf(call: Getopt, byDefault: readonly ObjectType[]): Set<ObjectType> {
  const words = call.options.get('t')?.flatMap((list) => list.split(','));
  if (words === undefined) return new Set(byDefault);
  return new Set(words.flatMap((word) => (word === 'all' ? ALL : [TYPES[word] ?? refuseType(word)])));
}

function refuseType(word: string): never {
  throw new GetoptError(`invalid type '${word}'`);
}

/** Snapshots or bookmarks alone mean those of the named datasets, one level down. */
function depthOf(call: Getopt, types: ReadonlySet<ObjectType>): number {
  const given = last(call, 'd');
  if (given !== undefined && !/^-?\d+$/.test(given)) throw new GetoptError(`${given} is not an integer`);
  if (given?.startsWith('-') === true) throw new GetoptError('Depth can not be negative.');
  if (given !== undefined) return Number(given);
  if (has(call, 'r')) return Number.POSITIVE_INFINITY;
  return types.size === 1 && (types.has('snapshot') || types.has('bookmark')) ? 1 : 0;
}

/** A snapshot is one level below its dataset. */
function below(all: readonly ZfsObject[], top: ZfsObject, depth: number): ZfsObject[] {
  return all.filter(
    (object) =>
      object.name === top.name ||
      (object.name.startsWith(top.name) &&
        /^[/@#]/.test(object.name.slice(top.name.length)) &&
        levelsOf(object.name) - levelsOf(top.name) <= depth),
  );
}

function levelsOf(name: string): number {
  return name.split(/[/@#]/).length;
}

/** -s and -S in their order; equal rows stay in the order of names, and what has no value comes last. */
export function sortRows(view: View, call: Getopt, objects: readonly ZfsObject[]): ZfsObject[] {
  const keys = ['s', 'S'].flatMap((letter) =>
    (call.options.get(letter) ?? []).map((property) => ({ property, sign: letter === 's' ? 1 : -1 })),
  );
  const odd = keys.find(({ property }) => !isKnownProperty(propertyName(property)));
  if (odd !== undefined) throw new GetoptError(`invalid property '${odd.property}'`);
  const compare = (a: ZfsObject, b: ZfsObject): number => {
    for (const { property, sign } of keys) {
      const [left, right] = [a, b].map((object) => valueOf(view, object, { property, exact: true }));
      if (left === undefined || right === undefined || left.value === right.value) continue;
      if (left.isAbsent === true || right.isAbsent === true) return left.isAbsent === true ? 1 : -1;
      return ordered(left.value, right.value) * sign;
    }
    return 0;
  };
  return keys.length === 0 ? [...objects] : [...objects].sort(compare);
}

function ordered(left: string, right: string): number {
  if (/^\d+$/.test(left) && /^\d+$/.test(right)) return BigInt(left) < BigInt(right) ? -1 : 1;
  return left < right ? -1 : 1;
}
