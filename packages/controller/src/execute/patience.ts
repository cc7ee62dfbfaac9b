/** Calls that may meet an agent which is away for a moment. */
import { formatDuration } from '@pxmgr/contract';
import { messageOf } from '@pxmgr/kit/error/chain';
import { isPxmError, PxmError } from '@pxmgr/kit/error/pxm-error';
import { throwIfAborted } from '@pxmgr/kit/sync/abort';
import type { RunContext } from './run-context.ts';

/** The agent is away or has no time; whether it got the call is not known, and the same key makes a second one harmless. */
const AWAY: ReadonlySet<string> = new Set([
  'PXM_NODE_UNREACHABLE',
  'PXM_DEADLINE_EXCEEDED',
  'PXM_SHUTTING_DOWN',
  'PXM_QUEUE_FULL',
  'PXM_NODE_DOWN',
]);

export function isAway(error: unknown): boolean {
  return isPxmError(error) && AWAY.has(error.code);
}

/** A controller that has just started has heard of nobody; an agent that lives gives a sign of life within seconds. */
const FIRST_WORD_MS = 60_000;

function patienceMs(presence: string, silenceMs: number): number {
  if (presence === 'joined') return Math.min(FIRST_WORD_MS, silenceMs);
  return presence === 'up' || presence === 'suspect' ? silenceMs : 0;
}

/** One conversation with an agent: how long it has been silent, and when to give up. */
export class Patience {
  readonly #context: RunContext;
  readonly #step: number;
  #silentSinceMs: number | undefined;

  constructor(context: RunContext, step: number) {
    this.#context = context;
    this.#step = step;
  }

  /** The agent said something. */
  sawLife(): void {
    this.#silentSinceMs = undefined;
  }

  /**
   * Repeats the call with growing pauses while the agent is away and its node is not down. Errors: what the agent
   * answered; PXM_NODE_UNREACHABLE at the end of the patience; the reason of `stop`.
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
        if (!isAway(error)) throw error;
        if (this.#silentSinceMs === undefined) pause = limits.retryMinMs;
        this.#bear(error);
      }
      await clock.sleep(pause, stop);
      pause = Math.min(pause * 2, limits.retryMaxMs);
    }
  }

  #bear(error: unknown): void {
    const { clock, limits, log, plan, view } = this.#context;
    const now = clock.monotonicMs();
    if (this.#silentSinceMs === undefined) {
      log.note(this.#step, `${messageOf(error)}; trying on`, 'warning');
    }
    this.#silentSinceMs ??= now;
    const silentMs = now - this.#silentSinceMs;
    const presence = view.node(plan.nodeUid)?.presence ?? 'no longer in the fleet';
    if (silentMs < patienceMs(presence, limits.silenceMs)) return;
    if (isPxmError(error, 'PXM_QUEUE_FULL')) throw error;
    const detail = `no answer for ${formatDuration(silentMs)}, the node is ${presence}; what it was told may still happen there`;
    throw new PxmError('PXM_NODE_UNREACHABLE', { node: plan.nodeName }, { cause: error, detail });
  }
}
