/** Making a container: one spine for images and templates. Every effect is journalled; a failure undoes what was made. */
import type { HostCommand } from '@pxmgr/contract/common';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import { type Command, toHostCommand } from '@pxmgr/kit/exec/command';
import { runJudged } from '../../operation/judge.ts';
import { internalCommand, type Work } from '../../operation/work.ts';
import type { GuestConfig } from '../config-file.ts';
import { addAutodevHook, addDeviceGroups } from '../device-lines.ts';
import { applyEnv } from '../env-merge.ts';
import type { GuestParts } from '../parts.ts';
import { parsePropertyString } from '../property-string.ts';
import type { CreateRequest } from './check-spec.ts';
import { type HalfMade, journalData, unfinished } from './half-made.ts';
import { markMade, verifyFailed } from './mark-made.ts';
import { type Preflight, prepareCreate } from './preflight.ts';
import { undoCreate } from './undo-create.ts';
import { compareMade } from './verify-create.ts';
import { checkRootFiles, unfinishedExtraction } from './verify-root.ts';

/** The commands that create would run, after all its checks. Errors: those of the preflight. */
export async function previewCreate(parts: GuestParts, request: CreateRequest): Promise<HostCommand[]> {
  const run = (command: Parameters<GuestParts['runner']['run']>[0]) => parts.runner.run(command);
  const { plan } = await prepareCreate(parts, request, { run, operationTag: 'op-preview' });
  return [
    toHostCommand(plan.create),
    internalCommand(editPurpose(parts, request.vmid)),
    ...(plan.finish === undefined ? [] : [toHostCommand(plan.finish)]),
  ];
}

/** Creates it, stopped. Errors: those of the preflight, of `pct create`, PXM_VERIFY_FAILED, PXM_UNDO_INCOMPLETE. */
export async function createContainer(parts: GuestParts, request: CreateRequest, work: Work): Promise<void> {
  const { vmid } = request;
  const ready = await work.step('preflight', 'check image, storage, network, devices and mounts', () =>
    prepareCreate(parts, request, { run: (command) => work.run(command, { stdoutAs: 'none' }), operationTag: work.id }),
  );
  for (const warning of ready.plan.warnings) work.warn(warning);
  const made: HalfMade = { vmid, guestUid: request.guestUid, operationTag: work.id, storages: ready.plan.storages };
  try {
    await work.step('create', `create container ${vmid}`, async () => {
      await runCreate(parts, { ready, made }, work);
      // Before the edit: recovery takes a guest that was edited for whole.
      const difference = compareMade(parts.files.config(vmid), { request, ready });
      if (difference !== undefined) throw verifyFailed(parts, vmid, difference);
      await requireWholeRoot(parts, { ready, made }, work);
    });
    await work.step('configure', 'set environment, entrypoint and identity', () =>
      configure(parts, { request, ready, made }, work),
    );
    await work.step('finish', 'add mounts and verify', () => finish(parts, { request, ready, made }, work));
  } catch (error) {
    await undoAfter(parts, { made, error }, work);
    throw error;
  }
  work.result('vmid', String(vmid));
  work.result('guest_uid', request.guestUid);
  if (ready.facts.imageDigest !== '') work.result('digest', ready.facts.imageDigest);
}

interface Making {
  readonly request: CreateRequest;
  readonly ready: Preflight;
  readonly made: HalfMade;
}

async function runCreate(
  parts: GuestParts,
  { ready, made }: Pick<Making, 'ready' | 'made'>,
  work: Work,
): Promise<void> {
  const { vmid } = made;
  const data = { ...journalData(made), digest: ready.facts.imageDigest };
  const result = await work.effect({ name: 'container.create', data }, () =>
    runJudged(work, parts.tasks, {
      command: ready.plan.create,
      task: { type: 'vzcreate', vmid },
      context: { vmid: String(vmid), node: parts.files.node, storage: made.storages[0] ?? '', operation: work.id },
      postCondition: (result) => unfinished(parts.files.config(vmid), made, result),
      unmet: (difference) => verifyFailed(parts, vmid, difference),
    }),
  );
  const difference = ready.facts.kind === 'template' ? unfinishedExtraction(result) : undefined;
  if (difference !== undefined) throw verifyFailed(parts, vmid, difference);
}

function editPurpose(parts: GuestParts, vmid: number): string {
  return `set environment, entrypoint and pxmgr's mark in ${parts.files.path(vmid)}`;
}

async function configure(parts: GuestParts, { request, ready, made }: Making, work: Work): Promise<void> {
  const { imageReference, imageDigest } = ready.facts;
  // Before the edit makes it a whole guest: after it a crash is no reason to forget what it was made of.
  if (imageDigest !== '') await parts.records.put(made.guestUid, { imageReference, imageDigest });
  const purpose = editPurpose(parts, made.vmid);
  work.internal(purpose);
  const change = (config: GuestConfig): void => {
    applyChanges(config, request, ready);
  };
  await markMade(parts, { made, tags: ready.plan.tags, change }, work);
}

function applyChanges(config: GuestConfig, { spec }: CreateRequest, { facts, plan }: Preflight): void {
  if (plan.needsAutodevHook) addAutodevHook(config);
  config.env = applyEnv(config.env, spec.env, facts.home);
  if (plan.entrypoint !== undefined) {
    config.entries.set('entrypoint', plan.entrypoint);
    config.entries.set('cmode', 'console');
  }
  if (facts.kind === 'image' && facts.accounts.uid !== 0) addDeviceGroups(config);
}

async function finish(parts: GuestParts, { ready, made }: Making, work: Work): Promise<void> {
  const command = ready.plan.finish;
  if (command === undefined) return;
  await work.effect({ name: 'container.finish', data: journalData(made) }, () =>
    runJudged(work, parts.tasks, {
      command,
      context: { vmid: String(made.vmid), node: parts.files.node },
      postCondition: () => {
        const config = parts.files.config(made.vmid);
        const missing = ready.plan.binds.find((bind) => {
          const stored = parsePropertyString(config?.entries.get(`mp${bind.index}`) ?? '', 'volume');
          return stored.get('volume') !== bind.source || stored.get('mp') !== bind.target;
        });
        return missing === undefined ? undefined : `mount ${missing.target} is missing`;
      },
      unmet: (difference) => verifyFailed(parts, made.vmid, difference),
    }),
  );
}

/** A task that ended OK does not prove that everything was unpacked. */
async function requireWholeRoot(
  parts: GuestParts,
  { ready, made }: Pick<Making, 'ready' | 'made'>,
  work: Work,
): Promise<void> {
  const targets = ready.plan.volumes.map((volume) => volume.target);
  const files = ready.facts.sample.filter(({ path }) => !targets.some((target) => `/${path}`.startsWith(`${target}/`)));
  if (files.length === 0) return;
  const stored = parts.files.config(made.vmid)?.entries.get('rootfs') ?? '';
  const volumeId = parsePropertyString(stored, 'volume').get('volume') ?? '';
  const look = { paths: parts.paths, node: parts.files.node, run: (command: Command) => work.run(command) };
  const found = await checkRootFiles(look, volumeId, files);
  if (found.kind === 'incomplete') throw verifyFailed(parts, made.vmid, found.difference);
  if (found.kind === 'unknown') work.warn(`whether the root file system is complete was not checked: ${found.reason}`);
}

async function undoAfter(
  parts: GuestParts,
  { made, error }: { made: HalfMade; error: unknown },
  work: Work,
): Promise<void> {
  if (toPxmError(error).code === 'PXM_VMID_TAKEN') return;
  work.log('note', 'undoing what was made');
  await undoCreate(parts, made, work);
}
