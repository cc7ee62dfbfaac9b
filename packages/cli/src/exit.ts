/** Error to exit code, in one place. */

import type { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';

export const EXIT_INTERRUPTED = 130;

export function exitCodeOf(error: unknown): number {
  return toPxmError(error).row.exit;
}

export function asPxmError(error: unknown): PxmError {
  return toPxmError(error);
}
