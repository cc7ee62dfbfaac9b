/** Calls that may meet an agent which is away for a moment. */
import { formatDuration } from '@pxmgr/contract';
import { messageOf } from '@pxmgr/kit/error/chain';
import { isPxmError, PxmError } from '@pxmgr/kit/error/pxm-error';
import { throwIfAborted } from '@pxmgr/kit/sync/abort';
import type { Presence } from '../domain/node-state.ts';
import type { RunContext } from './run-context.ts';

/** The agent is away or has no time; whether it got the call is not known, and the same key makes a second one harmless. */
const AWAY: ReadonlySet<string> = new Set([
  'PXM_NODE_UNREACHABLE',
  'PXM_DEADLINE_EXCEEDED',
  'PXM_SHUTTING_DOWN',
  'PXM_QUEUE_FULL',
  'PXM_NODE_DOWN',
  'PXM_INVENTORY_UNREAD',
]);

export function isAway(error: unknown): boolean {
  return isPxmError(error) && AWAY.has(error.code);
}

/** A controller that was away has heard of nobody; an agent that lives gives a sign of life within seconds. */
const FIRST_WORD_MS = 60_000;

function patienceMs(presence: Presence | undefined, silenceMs: number): number {
  if (presence === undefined) return 0;
  return presence === 'up' || presence === 'suspect' ? silenceMs : Math.min(FIRST_WORD_MS, silenceMs);
}

export interface PatienceOptions {
  readonly step: number;
  /**
   * What the agent was told may have changed a guest: then only its own answer ends the wait. A silent node is asked
   * until it is back or has left the fleet; giving up would leave a guest, or a promise, that nobody answers for.
   */
  readonly mustKnow: boolean;
  /**
   * There is a guest of this plan, which has to be finished or taken back: a node that is cut off from its cluster can do
   * neither, and is asked until it can. Otherwise its refusal is the answer.
   */
  readonly outlastsCut: boolean;
}

/** One conversation with an agent: how long it has been silent, and when to give up. */
export class Patience {
  readonly #context: RunContext;
  readonly #options: PatienceOptions;
  #silentSinceMs: number | undefined;
  #isLong = false;
  #isCutOff = false;

  constructor(context: RunContext, options: PatienceOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** The agent said something. */
  sawLife(): void {
    this.#silentSinceMs = undefined;
    this.#isLong = false;
    this.#isCutOff = false;
  }

  /**
   * Repeats the call with growing pauses while the agent is away. Errors: what the agent answered; PXM_NODE_UNREACHABLE
   * at the end of the patience; the reason of `stop`.
   */
  async run<T>(call: () => Promise<T>): Promise<T> {
    const { clock, limits, stop } = this.#context;
    let pause = limits.retryMinMs;
    for (;;) {
      try {
        const answer = await call();
        this.sawLife();
        return answer;
      } catch (error) {
        throwIfAborted(stop);
        const isCutOff = this.#options.outlastsCut && isPxmError(error, 'PXM_NO_QUORUM');
        if (!isCutOff && !isAway(error)) throw error;
        if (isCutOff ? !this.#isCutOff : this.#silentSinceMs === undefined) pause = limits.retryMinMs;
        if (isCutOff) this.#bearCut(error);
        else this.#bear(error);
      }
      await clock.sleep(pause, stop);
      pause = Math.min(pause * 2, limits.retryMaxMs);
    }
  }

  /** It answers, so it is not silent; how long a network is away is for people to decide. */
  #bearCut(error: PxmError): void {
    const { plan } = this.#context;
    this.#silentSinceMs = undefined;
    if (!this.#isCutOff) this.#warn(`${messageOf(error)}; ${plan.nodeName} is asked again until it has quorum`);
    this.#isCutOff = true;
  }

  #bear(error: unknown): void {
    const { clock, limits, plan, view } = this.#context;
    const now = clock.monotonicMs();
    if (this.#silentSinceMs === undefined) this.#warn(`${messageOf(error)}; trying on`);
    this.#silentSinceMs ??= now;
    const silentMs = now - this.#silentSinceMs;
    const presence = view.node(plan.nodeUid)?.presence;
    if (silentMs < patienceMs(presence, limits.silenceMs)) return;
    if (isPxmError(error, 'PXM_QUEUE_FULL')) throw error;
    const silence = `no answer for ${formatDuration(silentMs)}, the node is ${presence ?? 'no longer in the fleet'}`;
    if (this.#options.mustKnow && presence !== undefined) {
      if (!this.#isLong)
        this.#warn(
          `${silence}; it is asked until it answers or has left the fleet, because what it was told may have happened`,
        );
      this.#isLong = true;
      return;
    }
    const detail = `${silence}; what it was told may still happen there`;
    throw new PxmError('PXM_NODE_UNREACHABLE', { node: plan.nodeName }, { cause: error, detail });
  }

  #warn(text: string): void {
    this.#context.log.note(this.#options.step, text, 'warning');
  }
}
