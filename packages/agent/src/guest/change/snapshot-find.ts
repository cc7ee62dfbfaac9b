import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { ConfigSection } from '../config-file.ts';
import { type ChangeJob, requireChangeable, subjectOf } from './kind.ts';

/** The snapshot's part of the configuration. Errors: those of `requireChangeable`, PXM_SNAPSHOT_NOT_FOUND. */
export function requireSnapshot(job: ChangeJob<unknown>, name: string): ConfigSection {
  const section = requireChangeable(job).snapshots.get(name);
  if (section === undefined) throw new PxmError('PXM_SNAPSHOT_NOT_FOUND', { ...subjectOf(job), snapshot: name });
  return section;
}
