import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { ConfigSection } from '../config-file.ts';
import { type ChangeJob, subjectOf } from './kind.ts';

/** The snapshot's part of the configuration. Errors: PXM_NO_QUORUM, PXM_GUEST_LOCKED and those of the lookup, PXM_SNAPSHOT_NOT_FOUND. */
export function requireSnapshot(job: ChangeJob<unknown>, name: string): ConfigSection {
  const { parts, vmid, guestUid } = job;
  parts.cluster.requireQuorum();
  const config = parts.files.require(vmid, guestUid);
  parts.files.requireUnlocked(vmid, config);
  const section = config.snapshots.get(name);
  if (section === undefined) throw new PxmError('PXM_SNAPSHOT_NOT_FOUND', { ...subjectOf(job), snapshot: name });
  return section;
}
