import type { Clock, IdSource } from '@pxmgr/kit/clock';
import type { Runner } from '@pxmgr/kit/exec/command';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { Config } from './config.ts';

/** The doors to the outside and the configuration; everything else is built from them. */
export interface ControllerDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly runner: Runner;
  readonly logger: Logger;
}
