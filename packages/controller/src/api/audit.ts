import type { Clock } from '@pxmgr/kit/clock';
import { toPxmError } from '@pxmgr/kit/error/to-problem';
import type { CallContext, Implementation, ServiceDefinition } from '@pxmgr/kit/rpc/handlers';
import { type Identity, identityText } from '@pxmgr/kit/rpc/identity';
import type { AuditEntry } from '../store/audit.ts';
import { authorise, RULES, shortMethod } from './authorise.ts';

export interface AuditLog {
  insert(entry: AuditEntry): void;
}

/** Writes who asked for what change and what came of it; never what was in the request. */
export class Auditor {
  readonly #log: AuditLog;
  readonly #clock: Clock;

  constructor(log: AuditLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Role check for the server; a refused change is audited too. Throws PXM_FORBIDDEN. */
  authorise(identity: Identity, method: string): void {
    try {
      authorise(identity, method);
    } catch (error) {
      if (RULES[shortMethod(method)]?.mutates === true)
        this.record(identity, { method: shortMethod(method), target: '' }, toPxmError(error).code);
      throw error;
    }
  }

  record(identity: Identity, what: { readonly method: string; readonly target: string }, outcome: string): void {
    this.#log.insert({ at: this.#clock.now(), identity: identityText(identity), ...what, outcome });
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
      const target = targetOf(request);
      try {
        const answer = await handler(request, context, write);
        this.record(context.identity, { method, target }, 'OK');
        return answer;
      } catch (error) {
        this.record(context.identity, { method, target }, toPxmError(error).code);
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
