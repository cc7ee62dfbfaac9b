import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { messageOf } from '../error/chain.ts';
import { PxmError } from '../error/pxm-error.ts';
import { systemCode } from '../error/to-problem.ts';

/** One thing wrong with the configuration; `where` is a file position, a variable or a flag. */
export interface ConfigProblem {
  readonly where: string;
  readonly key: string;
  readonly message: string;
}

/** A value as found, with a way to point at its parts. */
export interface FoundValue {
  readonly value: unknown;
  readonly where: (path: readonly PropertyKey[]) => string;
}

export interface YamlFile {
  readonly values: ReadonlyMap<string, FoundValue>;
  readonly problems: readonly ConfigProblem[];
}

/** Reads a file whose top level is a map of options. Undefined when it is absent and that is allowed. */
export function readYamlFile(path: string, mayBeAbsent: boolean): YamlFile | undefined {
  const text = readText(path, mayBeAbsent);
  return text === undefined ? undefined : parseYaml(text, basename(path));
}

function readText(path: string, mayBeAbsent: boolean): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' && mayBeAbsent) return undefined;
    const reason =
      code === 'ENOENT'
        ? 'it does not exist'
        : code === 'EACCES'
          ? 'permission denied'
          : code === 'EISDIR'
            ? 'it is a folder'
            : undefined;
    throw new PxmError(
      'PXM_CONFIG_UNREADABLE',
      { path, reason: reason ?? 'see the cause' },
      reason === undefined ? { cause: error } : {},
    );
  }
}

/** Values with their lines; syntax errors and doubled keys as problems. */
export function parseYaml(text: string, name: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const whereOf = (offset: number): string => `${name}:${String(lines.linePos(offset).line)}`;
  const problems: ConfigProblem[] = document.errors.map((error) => ({
    where: whereOf(error.pos[0]),
    key: '',
    message: error.message,
  }));
  const values = new Map<string, FoundValue>();
  // What stands behind a syntax error is guesswork: a doubled key is the one mistake that leaves the rest readable.
  if (document.errors.some((error) => error.code !== 'DUPLICATE_KEY')) return { values, problems };
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) return { values, problems };
  if (!isMap(root))
    return {
      values,
      problems: [...problems, { where: `${name}:1`, key: '', message: 'must be a list of "key: value" lines' }],
    };
  for (const pair of root.items) {
    const key = isScalar(pair.key) ? String(pair.key.value) : '?';
    const keyOffset = (pair.key as Node).range?.[0] ?? 0;
    const node = pair.value as Node | null;
    const found = valueOf(node, document);
    if (typeof found === 'string') problems.push({ where: whereOf(keyOffset), key, message: found });
    else
      values.set(key, {
        value: found.value,
        where: (path) => {
          const part =
            path.length === 0 || node === null ? undefined : (document.getIn([key, ...path], true) as Node | undefined);
          return whereOf(part?.range?.[0] ?? keyOffset);
        },
      });
  }
  return { values, problems };
}

/** The value, or what is wrong with its references: an alias that names nothing, or one that grows without end. */
function valueOf(node: Node | null, document: ReturnType<typeof parseDocument>): { value: unknown } | string {
  try {
    return { value: node === null ? null : node.toJS(document) };
  } catch (error) {
    return messageOf(error);
  }
}
