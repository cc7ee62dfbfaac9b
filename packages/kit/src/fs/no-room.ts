import { PxmError } from '../error/pxm-error.ts';
import { systemCode } from '../error/to-problem.ts';

/** PXM_DISK_FULL with the path when that is what the error means: the kernel does not say which file had no room. Else the error. */
export function noRoom(error: unknown, path: string): unknown {
  const code = systemCode(error);
  return code === 'ENOSPC' || code === 'EDQUOT' ? new PxmError('PXM_DISK_FULL', { path }, { cause: error }) : error;
}
