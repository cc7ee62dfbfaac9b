/**
 * Shutting down and stopping. A guest that was told to go down cannot be told otherwise, and needs nobody for it: when the
 * tool dies over it, only looking at the guest for a while can tell how that ended.
 */
import { isPxmError, PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Command } from '@pxmgr/kit/exec/command';
import { classifyText } from '../host/stderr-map.ts';
import { runJudged } from '../operation/judge.ts';
import type { Work } from '../operation/work.ts';
import type { GuestKey } from './guest-file.ts';
import type { GuestParts } from './parts.ts';
import { shutdownCommand, stopCommand } from './pct-args.ts';
import { waitForTasks } from './task-wait.ts';

export interface HaltRequest extends GuestKey {
  readonly verb: 'shutdown' | 'stop';
  readonly timeoutSeconds?: number;
  readonly force?: boolean;
}

/** More would hold the guest's lock for minutes: a guest that does not react fails after twice the time. */
const SHUTDOWN_DEFAULT_SECONDS = 30;
const SHUTDOWN_MAX_SECONDS = 300;
/** What is killed is gone in a moment. */
const KILL_SECONDS = 5;

const TASK_TYPES = { shutdown: 'vzshutdown', stop: 'vzstop' } as const;

export function haltCommand(request: HaltRequest): Command {
  const { verb, vmid, force } = request;
  return verb === 'stop' ? stopCommand(vmid) : shutdownCommand(vmid, shutdownSeconds(request), force === true);
}

function shutdownSeconds({ timeoutSeconds = 0 }: Pick<HaltRequest, 'timeoutSeconds'>): number {
  return Math.min(timeoutSeconds === 0 ? SHUTDOWN_DEFAULT_SECONDS : timeoutSeconds, SHUTDOWN_MAX_SECONDS);
}

/** As a step. Errors: PXM_SHUTDOWN_TIMEOUT, PXM_GUEST_MOVED, those of the command. */
export async function halt(parts: GuestParts, request: HaltRequest, work: Work): Promise<void> {
  const { vmid, verb } = request;
  await work.step(verb, verb === 'stop' ? `stop container ${vmid}` : `shut down container ${vmid}`, async () => {
    const since = parts.clock.now();
    await work.effect({ name: `container.${verb}`, data: { vmid: String(vmid) } }, async () => {
      try {
        await runHalt(parts, request, work);
      } catch (error) {
        if (!(await isDownAllTheSame(parts, { ...request, since, error }, work))) throw error;
      }
    });
    await waitForUnit(parts, vmid, work);
  });
}

/** Stops a running container as a step of another operation. */
export async function stopContainer(parts: GuestParts, vmid: number, work: Work): Promise<void> {
  await halt(parts, { vmid, guestUid: '', verb: 'stop' }, work);
}

async function runHalt(parts: GuestParts, request: HaltRequest, work: Work): Promise<void> {
  const { vmid, verb } = request;
  await runJudged(work, parts.tasks, {
    command: haltCommand(request),
    task: { type: TASK_TYPES[verb], vmid },
    context: fieldsOf(parts, request),
    postCondition: () => {
      parts.files.requireNotMoved(request);
      return parts.runState.isRunning(vmid) ? 'it still runs' : undefined;
    },
    unmet: () => stillRuns(parts, request),
  });
}

async function isDownAllTheSame(
  parts: GuestParts,
  { error, ...halting }: Halting & { readonly error: unknown },
  work: Work,
): Promise<boolean> {
  const { vmid, verb } = halting;
  const end = await endOfHalt(parts, halting, work);
  parts.files.requireNotMoved(halting, error);
  if (end === 'down' && !work.signal.aborted) {
    work.warn(`pct did not live to see it, but container ${vmid} is down`);
    return true;
  }
  if (end === 'told' && verb === 'shutdown' && !isPxmError(error, 'PXM_SHUTDOWN_TIMEOUT'))
    work.warn(`container ${vmid} was told to shut down and may still do so`);
  return false;
}

export async function waitForUnit(parts: GuestParts, vmid: number, work: Work): Promise<void> {
  if (!(await parts.runState.waitDown(vmid, work.signal))) work.warn('its service unit has not ended yet');
}

function fieldsOf(parts: GuestParts, request: HaltRequest): Record<string, string> {
  return { vmid: String(request.vmid), node: parts.files.node, seconds: String(shutdownSeconds(request)) };
}

export function stillRuns(parts: GuestParts, request: HaltRequest): PxmError {
  return new PxmError('PXM_SHUTDOWN_TIMEOUT', fieldsOf(parts, request));
}

export interface Halting extends HaltRequest {
  /** The order began then. */
  readonly since: Date;
}

/**
 * What came of it, by looking: after a tool that died over it the guest gets the time that the order gave it. `told`: it
 * runs, and has been told to go down as far as anybody can know. `not told`: nothing is on its way.
 */
export async function endOfHalt(
  parts: GuestParts,
  halting: Halting,
  work: Work,
): Promise<'down' | 'told' | 'not told'> {
  const { vmid, verb, since } = halting;
  const fate = await parts.tasks.fateSince({ type: TASK_TYPES[verb], vmid }, since);
  if (fate.kind === 'open' && !work.signal.aborted) {
    await waitForTasks(parts, vmid, work.signal);
    const seconds = verb === 'stop' ? KILL_SECONDS : shutdownSeconds(halting);
    await parts.runState.waitDown(vmid, work.signal, seconds * 1000);
  }
  if (!parts.runState.isRunning(vmid)) return 'down';
  if (fate.kind === 'open') return 'told';
  if (fate.kind !== 'failed') return 'not told';
  // It had its time, or was interrupted; what failed for another reason had not come so far.
  const code = classifyText(fate.text, fieldsOf(parts, halting), 'pct')?.code ?? 'PXM_SHUTDOWN_TIMEOUT';
  return code === 'PXM_SHUTDOWN_TIMEOUT' ? 'told' : 'not told';
}
