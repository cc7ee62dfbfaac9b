/** Start, shut down, stop (halt.ts), destroy: what must hold before, the command, and what must hold after. */
import type { HostCommand, Readiness } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { type Command, toHostCommand } from '@pxmgr/kit/exec/command';
import { runJudged } from '../operation/judge.ts';
import type { Work } from '../operation/work.ts';
import type { GuestConfig } from './config-file.ts';
import type { GuestKey } from './guest-file.ts';
import { halt, haltCommand } from './halt.ts';
import type { GuestParts } from './parts.ts';
import { destroyCommand, startCommand, stopCommand } from './pct-args.ts';
import { waitReady } from './readiness.ts';
import { runDestroy } from './run-destroy.ts';

export type Verb = 'start' | 'shutdown' | 'stop' | 'destroy';

const START_TIMEOUT_MS = 90_000;
/** A host-managed network waits for a DHCP answer inside the task, 85 s when nobody answers. */
const START_DHCP_TIMEOUT_MS = 150_000;
/** `mounted` is left behind by pct mount; starting and stopping do not mind it. */
const START_LOCKS = ['mounted'];

export interface VerbRequest extends GuestKey {
  readonly verb: Verb;
  readonly readiness?: Readiness | undefined;
  readonly timeoutSeconds?: number;
  readonly force?: boolean;
}

/**
 * Looks whether the verb can begin, without doing anything. Errors: PXM_NO_QUORUM, PXM_GUEST_NOT_FOUND, PXM_GUEST_MOVED,
 * PXM_GUEST_FOREIGN, PXM_GUEST_LOCKED, PXM_GUEST_RUNNING, PXM_GUEST_NOT_RUNNING, PXM_GUEST_TEMPLATE, PXM_GUEST_PROTECTED.
 */
export function checkVerb(parts: GuestParts, request: VerbRequest): void {
  const { vmid, verb } = request;
  const { node } = parts.files;
  if (verb === 'destroy' && request.guestUid === '') {
    throw new PxmError('PXM_INPUT_INVALID', {
      count: '1',
      problems: 'guest_uid: destroy needs the uid of the guest that is meant',
    });
  }
  // Without quorum a stop cannot be undone by a start, and destroy deletes volumes before it fails.
  parts.cluster.requireQuorum();
  const config = parts.files.require(vmid, request.guestUid);
  parts.files.requireUnlocked(vmid, config, verb === 'destroy' ? [] : START_LOCKS);
  const fields = { vmid: String(vmid), node };
  const isRunning = parts.runState.isRunning(vmid);
  if (verb === 'start') checkStart(config, { isRunning, fields });
  else if (verb === 'destroy') checkDestroy(config, { isRunning: isRunning && request.force !== true, fields });
  else if (!isRunning) throw new PxmError('PXM_GUEST_NOT_RUNNING', fields);
}

interface Situation {
  readonly isRunning: boolean;
  readonly fields: Record<string, string>;
}

function checkStart(config: GuestConfig, { isRunning, fields }: Situation): void {
  if (config.entries.get('template') === '1') throw new PxmError('PXM_GUEST_TEMPLATE', fields);
  if (isRunning) throw new PxmError('PXM_GUEST_RUNNING', fields);
}

function checkDestroy(config: GuestConfig, { isRunning, fields }: Situation): void {
  if (config.entries.get('protection') === '1') throw new PxmError('PXM_GUEST_PROTECTED', fields);
  if (isRunning) throw new PxmError('PXM_GUEST_RUNNING', fields);
}

/** The commands a verb runs, after its checks. */
export function previewVerb(parts: GuestParts, request: VerbRequest): HostCommand[] {
  // A plan that creates the guest asks how it will be started: its configuration is the matter of an earlier step.
  if (request.verb === 'start' && parts.files.config(request.vmid) === undefined)
    return [toHostCommand(commandFor(parts, request))];
  checkVerb(parts, request);
  const isRunning = parts.runState.isRunning(request.vmid);
  const first = request.verb === 'destroy' && isRunning ? [toHostCommand(stopCommand(request.vmid))] : [];
  return [...first, toHostCommand(commandFor(parts, request))];
}

/** The verb as the body of an operation. */
export async function carryOutVerb(parts: GuestParts, request: VerbRequest, work: Work): Promise<void> {
  checkVerb(parts, request);
  work.result('vmid', String(request.vmid));
  await parts.files.whileHere(request, async () => {
    if (request.verb === 'start') await start(parts, request, work);
    else if (request.verb === 'destroy') await destroy(parts, request, work);
    else await halt(parts, { ...request, verb: request.verb }, work);
  });
}

function commandFor(parts: GuestParts, request: VerbRequest): Command {
  const { vmid } = request;
  switch (request.verb) {
    case 'start':
      return startCommand(vmid, usesDhcp(parts.files.config(vmid)) ? START_DHCP_TIMEOUT_MS : START_TIMEOUT_MS);
    case 'shutdown':
    case 'stop':
      return haltCommand({ ...request, verb: request.verb });
    case 'destroy':
      return destroyCommand(vmid);
  }
}

function usesDhcp(config: GuestConfig | undefined): boolean {
  return [...(config?.entries ?? [])].some(
    ([key, value]) => /^net\d+$/.test(key) && /host-managed=1/.test(value) && /ip6?=dhcp/.test(value),
  );
}

async function start(parts: GuestParts, request: VerbRequest, work: Work): Promise<void> {
  const { vmid } = request;
  const fields = { vmid: String(vmid), node: parts.files.node, operation: work.id };
  await work.step('start', `start container ${vmid}`, async () => {
    // A start while the post-stop hook of the last run still works is lost.
    if (!(await parts.runState.waitDown(vmid, work.signal))) {
      throw new PxmError('PXM_START_FAILED', fields, { detail: 'its last run has not ended yet' });
    }
    await work.effect({ name: 'container.start', data: { vmid: String(vmid) } }, () =>
      runJudged(work, parts.tasks, {
        command: commandFor(parts, request),
        task: { type: 'vzstart', vmid },
        context: fields,
        postCondition: () => (parts.runState.isRunning(vmid) ? undefined : 'it does not run'),
        unmet: (difference) => new PxmError('PXM_START_FAILED', fields, { detail: difference }),
      }),
    );
  });
  await work.step('ready', 'wait until it is ready', () =>
    waitReady(parts, vmid, { readiness: request.readiness, work }),
  );
}

async function destroy(parts: GuestParts, request: VerbRequest, work: Work): Promise<void> {
  const { vmid } = request;
  if (parts.runState.isRunning(vmid)) await halt(parts, { ...request, verb: 'stop' }, work);
  await work.step('destroy', `destroy container ${vmid}`, async () => {
    // Between the check and now somebody may have put another guest in its place.
    parts.files.require(vmid, request.guestUid);
    await parts.runState.waitDown(vmid, work.signal);
    await work.effect({ name: 'container.destroy', data: { vmid: String(vmid), guestUid: request.guestUid } }, () =>
      runDestroy(parts, { vmid, guestUid: request.guestUid, command: destroyCommand(vmid) }, work),
    );
    await parts.records.forget(request.guestUid);
  });
}
