/** What a clone needs and what it runs, decided before anything is made. */
import { parseGuestName, parseGuestUid, parseSnapshotName, parseStorageId, parseVmid } from '@pxmgr/contract';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command, CommandResult } from '@pxmgr/kit/exec/command';
import { readStorages, type StorageDefinition } from '../../host/storage-cfg.ts';
import type { ConfigSection, GuestConfig } from '../config-file.ts';
import { devicePaths } from '../device-lines.ts';
import { mountEntries } from '../mount-entries.ts';
import type { GuestParts } from '../parts.ts';
import { cloneCommand } from '../pct-args.ts';
import { parsePropertyString } from '../property-string.ts';
import { said } from './check-spec.ts';
import { checkStorages } from './check-storage.ts';
import { ourTags } from './create-plan.ts';

export interface CloneRequest {
  readonly vmid: number;
  readonly guestUid: string;
  readonly name: string;
  readonly source: CloneSource;
  /** Empty = where the source has its volumes. */
  readonly storage: string;
  readonly full: boolean;
}

export interface CloneSource {
  readonly vmid: number;
  /** Empty = do not check. */
  readonly guestUid: string;
  /** Empty = as it is now. */
  readonly snapshot: string;
}

export interface ClonePlan {
  readonly command: Command;
  /** What is cloned: the source's configuration, or the section of a snapshot. */
  readonly section: ConfigSection;
  /** A snapshot has one of its own, which is no description of the guest. */
  readonly description: string;
  readonly tags: readonly string[];
  readonly storages: readonly string[];
  readonly warnings: readonly string[];
}

/** Types that can put a volume on top of a base volume (proxmox/pve-storage src/PVE/Storage/, volume_has_feature of each plugin). */
const WITH_LINKED_CLONES: ReadonlySet<string> = new Set(['zfspool', 'btrfs', 'lvmthin', 'rbd']);

/** Everything that can be told wrong from the words alone, all at once. PXM_INPUT_INVALID. */
export function checkCloneRequest({ vmid, guestUid, name, source, storage, full }: CloneRequest): void {
  const problems = [
    ...said('vmid', parseVmid(vmid)),
    ...said('guest_uid', parseGuestUid(guestUid)),
    ...said('name', parseGuestName(name)),
    ...said('source', parseVmid(source.vmid)),
    ...(source.snapshot === '' ? [] : said('snapshot', parseSnapshotName(source.snapshot))),
    ...(storage === '' ? [] : said('storage', parseStorageId(storage))),
    ...(storage === '' || full ? [] : ['storage: a clone that is not full lies where its source does']),
    ...(source.vmid === vmid ? ['vmid: it is that of the source'] : []),
  ];
  if (problems.length === 0) return;
  throw new PxmError('PXM_INPUT_INVALID', { count: String(problems.length), problems: problems.join('; ') });
}

/**
 * Everything that can be known before anything is made; changes nothing, so that a dry run does it too. Errors:
 * PXM_NO_QUORUM, PXM_VMID_TAKEN, PXM_GUEST_NOT_FOUND, PXM_GUEST_FOREIGN, PXM_GUEST_LOCKED, PXM_GUEST_RUNNING,
 * PXM_SNAPSHOT_NOT_FOUND, PXM_SNAPSHOT_INCOMPLETE, PXM_CLONE_UNSUPPORTED, those of the storages.
 */
export async function prepareClone(
  parts: GuestParts,
  request: CloneRequest,
  { run, operationTag }: { run: (command: Command) => Promise<CommandResult>; operationTag: string },
): Promise<ClonePlan> {
  checkCloneRequest(request);
  parts.cluster.requireQuorum();
  parts.files.requireFree(request.vmid);
  const { source } = request;
  const config = parts.files.require(source.vmid, source.guestUid);
  parts.files.requireUnlocked(source.vmid, config);
  const section = sectionOf(parts, config, request);
  const storages = storagesOf(section, request.storage);
  const look = { paths: parts.paths, node: parts.files.node, run };
  await checkStorages(look, { storages, contentBytes: 0, vmid: request.vmid });
  const { vmid, name: hostname, full, storage } = request;
  const place = { full, storage, snapshot: source.snapshot };
  return {
    command: cloneCommand({ vmid, source: source.vmid, hostname, ...place, description: operationTag }),
    section,
    description: config.description,
    tags: ourTags((section.entries.get('tags') ?? '').split(/[;,\s]+/).filter((tag) => tag !== '')),
    storages,
    warnings: warningsOf(section, source.vmid),
  };
}

function sectionOf(parts: GuestParts, config: GuestConfig, request: CloneRequest): ConfigSection {
  const { source, full } = request;
  const subject = { vmid: String(source.vmid), node: parts.files.node };
  const section = source.snapshot === '' ? config : config.snapshots.get(source.snapshot);
  if (section === undefined) throw new PxmError('PXM_SNAPSHOT_NOT_FOUND', { ...subject, snapshot: source.snapshot });
  const state = section.entries.get('snapstate');
  if (state !== undefined)
    throw new PxmError('PXM_SNAPSHOT_INCOMPLETE', { ...subject, snapshot: source.snapshot, reason: state });
  const reasons = blockers(section, readStorages(parts.paths), { full, isTemplate: isTemplate(config) });
  if (reasons.length > 0) throw new PxmError('PXM_CLONE_UNSUPPORTED', { ...subject, reasons: reasons.join('; ') });
  if (source.snapshot === '' && parts.runState.isRunning(source.vmid))
    throw new PxmError('PXM_GUEST_RUNNING', subject, { hint: 'shut it down first, or clone a snapshot of it' });
  return section;
}

function isTemplate(config: GuestConfig): boolean {
  return config.entries.get('template') === '1';
}

/** One reason for each mount that makes `pct clone` refuse (proxmox/pve-container src/PVE/API2/LXC.pm clone_vm). */
function blockers(
  section: ConfigSection,
  storages: readonly StorageDefinition[],
  wish: { full: boolean; isTemplate: boolean },
): string[] {
  const mounts = mountEntries(section);
  const foreign = mounts
    .filter(({ kind }) => kind !== 'volume')
    .map(({ key, kind, source }) => `${key} (${source}) is a ${kind} mount`);
  if (wish.full) return foreign;
  if (!wish.isTemplate) return ['it is no template, and only a full clone can be made of it'];
  const whole = mounts
    .filter(({ kind }) => kind === 'volume')
    .flatMap(({ key, source, storage }) => {
      const type = storages.find((one) => one.id === storage)?.type ?? 'unknown';
      return WITH_LINKED_CLONES.has(type) ? [] : [`${key} (${source}) is on ${storage}, and type ${type} only copies`];
    });
  return [...foreign, ...whole];
}

function storagesOf(section: ConfigSection, storage: string): string[] {
  if (storage !== '') return [storage];
  return [...new Set(mountEntries(section).map((mount) => mount.storage))];
}

function warningsOf(section: ConfigSection, source: number): string[] {
  const devices = devicePaths(section);
  const fixed = [...section.entries].flatMap(([key, value]) => {
    if (!/^net\d+$/.test(key)) return [];
    const parts = parsePropertyString(value);
    return [parts.get('ip') ?? '', parts.get('ip6') ?? ''].filter((address) => address.includes('/'));
  });
  return [
    ...(devices.length === 0
      ? []
      : [`the clone gets none of the devices of container ${source}: ${devices.join(', ')}`]),
    ...(fixed.length === 0 ? [] : [`the clone has the address of container ${source}: ${fixed.join(', ')}`]),
  ];
}
