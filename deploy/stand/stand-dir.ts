/** The folder of one fleet on this machine, and the programs it is made of: the shipped bundles. */
import { chmodSync, createWriteStream, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { PRODUCT_VERSION } from '@pxmgr/contract';
import type { Runner } from '@pxmgr/kit/exec/command';
import { createRunner } from '@pxmgr/kit/exec/run';
import { createLogger, type Logger } from '@pxmgr/kit/log/logger';

export const CHECKOUT = join(import.meta.dirname, '..', '..');
export const BUNDLES = join(CHECKOUT, 'dist');
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export class StandDir {
  readonly root: string;
  readonly logs: string;
  readonly runner: Runner;
  readonly logger: Logger;

  constructor(root: string) {
    this.root = root;
    this.logs = join(root, 'logs');
    mkdirSync(this.logs, { recursive: true });
    // Guests run as other users and must reach their root file systems below it.
    chmodSync(root, 0o711);
    this.logger = createLogger({
      service: 'stand',
      version: PRODUCT_VERSION,
      level: 'info',
      stream: createWriteStream(join(this.logs, 'stand.log'), { flags: 'a' }),
    });
    this.runner = createRunner({
      path: `${join(process.execPath, '..')}:${SYSTEM_PATH}`,
      logger: this.logger,
      home: homedir(),
    });
  }

  path(...names: readonly string[]): string {
    return join(this.root, ...names);
  }
}

/** Absolute path of a shipped program; says what to do when it is not built. */
export function bundle(name: 'pxmgr' | 'pxmgr-agent' | 'pxmgr-controller' | 'pxmgr-sim'): string {
  const path = join(BUNDLES, `${name}.js`);
  if (!existsSync(path)) throw new Error(`${path} is not there; run "npm run build" first`);
  return path;
}

/** What an administrator starts: Node with the settings of the program. */
export function launcher(name: 'pxmgr-agent'): string {
  return bundle(name).replace(/\.js$/, '');
}
