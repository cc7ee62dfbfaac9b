import type { Clock } from '@pxmgr/kit/clock';
import type { PxmError } from '@pxmgr/kit/error/pxm-error';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import type { CallContext, Implementation, ServiceDefinition } from '@pxmgr/kit/rpc/handlers';
import { type Identity, identityText } from '@pxmgr/kit/rpc/identity';
import type { AuditEntry } from '../store/audit.ts';
import { RULES, shortMethod } from './authorise.ts';
import { RefusalBudget } from './refusal-budget.ts';

export interface AuditLog {
  insert(entry: AuditEntry): void;
  begin(call: Omit<AuditEntry, 'outcome'>): bigint;
  end(id: bigint, outcome: string): void;
}

export interface Call {
  /** FleetService/RevokeNode */
  readonly method: string;
  readonly target: string;
}

export interface Refusal {
  readonly identity: Identity;
  /** With or without the package. */
  readonly method: string;
  readonly target?: string;
  readonly error: PxmError;
}

const LAST_OF_MANY = '(further refusals of this caller within the minute are not written)';

/** Writes who asked for what change and what came of it; never what was in the request. */
export class Auditor {
  readonly #log: AuditLog;
  readonly #clock: Clock;
  readonly #budget: RefusalBudget;

  constructor(log: AuditLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#budget = new RefusalBudget(clock);
  }

  /** A caller whom we know and who is not let in: not allowed, revoked, expired. */
  refused(refusal: Refusal): void {
    const { identity, error } = refusal;
    const budget = this.#budget.take(identityText(identity));
    if (!budget.isWritten) return;
    const target = budget.isLast ? LAST_OF_MANY : (refusal.target ?? '');
    this.record(identity, { method: shortMethod(refusal.method), target }, error.code);
  }

  record(identity: Identity, what: Call, outcome: string): void {
    this.#log.insert({ at: this.#clock.now(), identity: identityText(identity), ...what, outcome });
  }

  /** Written down before the call does anything; gives what ends the row. */
  begin(identity: Identity, what: Call): (outcome: string) => void {
    const id = this.#log.begin({ at: this.#clock.now(), identity: identityText(identity), ...what });
    return (outcome) => {
      this.#log.end(id, outcome);
    };
  }

  /**
   * The same implementation, with an audit row for each call of a method that changes something. A method that takes a
   * stream of requests records itself: its target is in the first of them.
   */
  wrap<Def extends ServiceDefinition>(definition: Def, implementation: Implementation<Def>): Implementation<Def> {
    const wrapped = Object.entries(implementation).map(([name, handler]) => {
      const method = shortMethod(definition[name]?.path ?? name);
      const isAudited = RULES[method]?.mutates === true && definition[name]?.requestStream === false;
      return [name, isAudited ? this.#audited(method, handler as AnyHandler) : handler] as const;
    });
    return Object.fromEntries(wrapped) as Implementation<Def>;
  }

  #audited(method: string, handler: AnyHandler): AnyHandler {
    return async (request, context, write) => {
      const end = this.begin(context.identity, { method, target: targetOf(request) });
      try {
        const answer = await handler(request, context, write);
        end('OK');
        return answer;
      } catch (error) {
        end(toPxmError(error).code);
        throw error;
      }
    };
  }
}

type AnyHandler = (request: unknown, context: CallContext, write: unknown) => Promise<unknown>;

const TARGET_FIELDS = ['node', 'nodeName', 'planId', 'id', 'name', 'key', 'reference'] as const;

/** Name of the thing a request is about: the first field that names one, also one level down. */
function targetOf(request: unknown): string {
  return (
    nameIn(request) ??
    Object.values(toRecord(request))
      .map(nameIn)
      .find((name) => name !== undefined) ??
    deepName(request)
  );
}

function deepName(request: unknown): string {
  const action = toRecord(toRecord(request)['action'])['value'];
  return nameIn(action) ?? nameIn(toRecord(action)['guest']) ?? '';
}

function nameIn(value: unknown): string | undefined {
  const record = toRecord(value);
  for (const field of TARGET_FIELDS) {
    const text = record[field];
    if (typeof text === 'string' && text !== '') return text.slice(0, 200);
  }
  return undefined;
}

function toRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
