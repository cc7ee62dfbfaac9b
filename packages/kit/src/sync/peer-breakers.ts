import {
  BrokenCircuitError,
  type CircuitBreakerPolicy,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
} from 'cockatiel';
import { PxmError } from '../error/pxm-error.ts';

const FAILURES_TO_OPEN = 5;
const HALF_OPEN_AFTER_MS = 10_000;

/**
 * One circuit breaker per peer: after five failures in a row to reach it, calls fail at once for 10 s, then one call
 * tries. Only "out of reach" counts; a refusal by the peer proves that it is there.
 */
export class PeerBreakers {
  readonly #breakers = new Map<string, CircuitBreakerPolicy>();
  readonly #lastErrors = new Map<string, PxmError>();
  readonly #halfOpenAfterMs: number;

  constructor(halfOpenAfterMs: number = HALF_OPEN_AFTER_MS) {
    this.#halfOpenAfterMs = halfOpenAfterMs;
  }

  /** Runs `fn`, or throws the peer's last failure without trying. */
  async run<T>(peer: string, fn: () => Promise<T>): Promise<T> {
    try {
      return await this.#breaker(peer).execute(fn);
    } catch (error) {
      if (error instanceof BrokenCircuitError)
        throw this.#lastErrors.get(peer) ?? new PxmError('PXM_NODE_UNREACHABLE', { node: peer }, { cause: error });
      if (isOutOfReach(error)) this.#lastErrors.set(peer, error);
      throw error;
    }
  }

  /** Forgets a peer: it left, or it was just heard of. */
  reset(peer: string): void {
    this.#breakers.delete(peer);
    this.#lastErrors.delete(peer);
  }

  #breaker(peer: string): CircuitBreakerPolicy {
    const known = this.#breakers.get(peer);
    if (known !== undefined) return known;
    const made = circuitBreaker(handleWhen(isOutOfReach), {
      halfOpenAfter: this.#halfOpenAfterMs,
      breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
    });
    this.#breakers.set(peer, made);
    return made;
  }
}

const OUT_OF_REACH: readonly string[] = [
  'PXM_NODE_UNREACHABLE',
  'PXM_CONTROLLER_UNREACHABLE',
  'PXM_PVE_UNREACHABLE',
  'PXM_DEADLINE_EXCEEDED',
];

function isOutOfReach(error: unknown): error is PxmError {
  return error instanceof PxmError && OUT_OF_REACH.includes(error.code);
}
