import { PxmError } from './pxm-error.ts';

/**
 * What the kernel's refusal to write says about the disk under `path`: PXM_DISK_FULL, PXM_DISK_FAILED. Undefined when it
 * says nothing about the disk. The kernel itself does not say which file it was.
 */
export function diskError(error: unknown, path: string): PxmError | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new PxmError('PXM_DISK_FULL', { path }, { cause: error });
  if (code === 'EIO') return new PxmError('PXM_DISK_FAILED', { path }, { cause: error });
  return undefined;
}
