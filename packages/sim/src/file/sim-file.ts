/** Small synchronous file steps. Writes go through a temporary name and a rename, so a reader never sees half a file. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

let counter = 0;

export function writeFileAtomicSync(path: string, text: string | Uint8Array, mode = 0o644): void {
  counter += 1;
  const temporary = `${path}.tmp.${process.pid}.${counter}`;
  writeFileSync(temporary, text, { mode });
  renameSync(temporary, path);
}

/** undefined when the file is absent. */
export function readText(path: string, encoding: 'utf8' | 'latin1' = 'utf8'): string | undefined {
  try {
    return readFileSync(path, encoding);
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT' || (err as NodeJS.ErrnoException).code === 'ENOTDIR')
      return undefined;
    throw err;
  }
}

/** undefined when the file is absent or empty. The caller names the shape: these files are written by this package only. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the shape of our own records, named by the reader
export function readJson<T>(path: string): T | undefined {
  const text = readText(path);
  return text === undefined || text.trim() === '' ? undefined : (JSON.parse(text) as T);
}
