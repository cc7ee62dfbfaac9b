/**
 * The door of executables: `<root>/bin/<tool>`, to be put in front of a PATH. Each is a few lines of shell that start
 * Node with the stand-in's bundle and the host's root written in, so a caller needs no environment.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { toolNames } from '../tool/all-tools.ts';

export interface InstallOptions {
  /** Absolute path of the bundle (`pxmgr-sim.js`). */
  readonly bundle: string;
  /** Node binary; default: the one that runs now. */
  readonly node?: string;
  readonly names?: readonly string[];
}

/** Returns the folder to put on the PATH. Existing executables are replaced. */
export function installTools(root: string, options: InstallOptions): string {
  const folder = join(root, 'bin');
  mkdirSync(folder, { recursive: true });
  const start = [options.node ?? process.execPath, ...entry(options.bundle), 'tool', '--root', root]
    .map(quote)
    .join(' ');
  for (const name of options.names ?? toolNames()) {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\nexec ${start} ${name} "$@"\n`);
    chmodSync(path, 0o755);
  }
  return folder;
}

/** From source (`main.ts`) through tsx; slower to start, for tests of single tools. */
function entry(bundle: string): string[] {
  return bundle.endsWith('.ts')
    ? ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href, bundle]
    : [bundle];
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
