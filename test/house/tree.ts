/** The files of the checkout as git sees them: tracked, and new ones that are not ignored. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Folders whose content is not ours to word or to size. */
const FOREIGN = /^(packages\/contract\/src\/gen|test\/fixtures|proto\/google)\/|^(LICENSE|package-lock\.json)$/;

export interface TreeFile {
  /** Relative to the root of the checkout. */
  readonly path: string;
  readonly text: string;
}

/** All files, or those whose path matches; without foreign ones. */
export function treeFiles(pattern = /./): TreeFile[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT });
  return listed
    .toString('utf8')
    .split('\0')
    .filter((path) => path !== '' && pattern.test(path) && !FOREIGN.test(path) && existsSync(join(ROOT, path)))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

/** "path:line: text" of every line that matches. */
export function linesThatMatch(files: readonly TreeFile[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    file.text
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${file.path}:${index + 1}: ${line.trim()}`] : [])),
  );
}
