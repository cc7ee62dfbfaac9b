import { PxmError } from '../error/pxm-error.ts';
import { toServiceError } from '../error/to-status.ts';
import type { Logger } from '../log/logger.ts';
import type { CallContext } from './handlers.ts';
import { type Identity, identityText } from './identity.ts';

/** How a call is answered; one of the two, once. */
export interface Reply<Res> {
  ok(value: Res): void;
  fail(error: ReturnType<typeof toServiceError>): void;
}

export interface CallFacts {
  readonly method: string;
  readonly identity: Identity;
  readonly deadline: Date | undefined;
  readonly traceId: string;
  readonly isStream: boolean;
}

const READ_VERBS = /^(?:Get|List|Watch|Evaluate|Explain|Query|Check|Inspect|Resolve|Plan|Run)/;

/** Who was not let in is worth a line even where the call itself would not be. */
const TURNED_AWAY = /^PXM_(?:AUTH_|FORBIDDEN)/;

/** One call while it runs: abort signal, exactly one answer, one log line at the start and one at the end. */
export class ActiveCall<Res> {
  readonly facts: CallFacts;
  readonly context: CallContext;
  readonly #reply: Reply<Res>;
  readonly #abort = new AbortController();
  readonly #startedMs = performance.now();
  #isOver = false;

  constructor(facts: CallFacts, reply: Reply<Res>, logger: Logger) {
    this.facts = facts;
    this.#reply = reply;
    this.context = {
      identity: facts.identity,
      ...(facts.deadline === undefined ? {} : { deadline: facts.deadline }),
      signal: this.#abort.signal,
      logger: logger.child({ rpc: facts.method, peer: identityText(facts.identity), trace: facts.traceId }),
      traceId: facts.traceId,
    };
    this.#log({}, 'call started');
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The caller went away: nobody to answer. */
  abandoned(): void {
    this.#end(new PxmError('PXM_CANCELLED', { what: 'the call' }));
  }

  succeed(value: Res): void {
    if (this.#end(undefined)) this.#reply.ok(value);
  }

  /** Also ends a call whose handler does not react: the answer goes out at once. */
  fail(error: unknown): void {
    if (this.#end(error)) this.#reply.fail(toServiceError(error));
  }

  #end(error: unknown): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    const ms = Math.round(performance.now() - this.#startedMs);
    if (error === undefined) this.#log({ ms }, 'call ended');
    else this.#logFailure(error, ms);
    this.#abort.abort(error ?? new PxmError('PXM_CANCELLED', { what: 'the call' }));
    return true;
  }

  #logFailure(error: unknown, ms: number): void {
    const { logger } = this.context;
    const isOurFault = !(error instanceof PxmError) || error.code === 'PXM_INTERNAL';
    if (isOurFault) logger.error({ ms, err: error }, 'call failed');
    else if (TURNED_AWAY.test(error.code)) logger.info({ ms, err: error }, 'call refused');
    else this.#log({ ms, err: error }, 'call failed');
  }

  #log(fields: Record<string, unknown>, message: string): void {
    const verb = this.facts.method.slice(this.facts.method.lastIndexOf('/') + 1);
    this.context.logger[READ_VERBS.test(verb) ? 'debug' : 'info'](fields, message);
  }
}
