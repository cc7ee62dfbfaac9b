/**
 * One order carried out by an agent: send it (again, with the same key, until the agent has it), follow its operation,
 * mirror its events. Survives restarts of either side: what was sent and read is in the database before it matters.
 */
import { type Operation, type OperationEvent, OperationState } from '@pxmgr/contract/common';
import { isPxmError, PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Accepted } from '../plan/agent-door.ts';
import { orderOf } from '../plan/order.ts';
import type { StepTrace, Way } from '../store/operations.ts';
import { ByteThrottle } from './byte-throttle.ts';
import { isAway, Patience } from './patience.ts';
import type { RunContext } from './run-context.ts';

export interface AgentWork {
  readonly step: number;
  readonly way: Way;
  readonly issue: (attempt: number) => Promise<Accepted>;
  /** The operation's end has to be known before the plan may end; see Patience. */
  readonly mustKnow: boolean;
  /** See Patience. */
  readonly outlastsCut: boolean;
  /** The order may be given once more when the agent undid it after its own crash, or after it was cut off. */
  readonly mayReissue: boolean;
}

const ATTEMPTS_MAX = 2;

export function isOver(operation: Operation): boolean {
  return operation.state >= OperationState.OPERATION_STATE_DONE;
}

/** Resolves with the agent's operation as it ended, whatever the end. Errors: what kept us from knowing the end. */
export async function carryOut(context: RunContext, work: AgentWork): Promise<Operation> {
  const { log } = context;
  const known = context.records.operations.step(log.operation.id, work.step, work.way);
  let trace: StepTrace = known ?? {
    step: work.step,
    way: work.way,
    attempt: 1,
    state: 'running',
    agentOperationId: '',
    agentSeq: 0,
  };
  for (;;) {
    trace = await ensureSent(context, work, { trace, isFirst: known === undefined });
    const ended = await follow(context, work, trace);
    log.absorb(ended);
    if (ended.recovery === 'resumed') log.note(work.step, 'it was interrupted on the node, and finished there');
    const isUndone = ended.state === OperationState.OPERATION_STATE_FAILED && ended.recovery === 'undone';
    if (
      !isUndone ||
      !work.mayReissue ||
      trace.attempt >= ATTEMPTS_MAX ||
      (work.way === 'forward' && context.cancel.aborted)
    ) {
      log.heard({ ...trace, state: ended.state === OperationState.OPERATION_STATE_DONE ? 'done' : 'failed' });
      return ended;
    }
    log.note(work.step, `${undoneBecause(ended)}; the order is given once more`, 'warning');
    trace = { ...trace, attempt: trace.attempt + 1, agentOperationId: '', agentSeq: 0 };
    log.trace(trace);
  }
}

function undoneBecause({ problem, nodeName }: Operation): string {
  return problem?.code === 'PXM_NO_QUORUM'
    ? `${nodeName} has quorum again and has taken back what it had begun`
    : 'the agent was restarted and undid its work';
}

interface Sending {
  readonly trace: StepTrace;
  /** False when an earlier process may have sent it. */
  readonly isFirst: boolean;
}

async function ensureSent(context: RunContext, work: AgentWork, { trace, isFirst }: Sending): Promise<StepTrace> {
  if (trace.agentOperationId !== '') return trace;
  const { log } = context;
  log.trace(trace);
  const accepted = await send(context, work, { trace, isFirst });
  if (accepted.operation === undefined) throw new Error('the agent named no operation');
  const sent = { ...trace, agentOperationId: accepted.operation.id };
  log.heard(sent);
  if (work.way === 'forward') log.moveStep(work.step, 'running', { agentOperationId: sent.agentOperationId });
  return sent;
}

/**
 * The refusal of an order that was sent once is an answer: the agent has begun nothing. After silence it is none: the
 * try that nobody answered may still be on its way, and only an undo with a newer token keeps it from taking effect.
 */
async function send(context: RunContext, work: AgentWork, { trace, isFirst }: Sending): Promise<Accepted> {
  let mayBeOnItsWay = !isFirst;
  try {
    return await new Patience(context, work).run(async () => {
      if (work.way === 'forward' && context.cancel.aborted) return await lookUp(context, work, trace);
      try {
        return await work.issue(trace.attempt);
      } catch (error) {
        mayBeOnItsWay ||= isAway(error);
        throw error;
      }
    });
  } catch (error) {
    const isAnswer = !mayBeOnItsWay && isPxmError(error) && !isAway(error);
    if (!context.stop.aborted && isAnswer) context.log.trace({ ...trace, state: 'failed' });
    throw error;
  }
}

/** Nobody wants it any longer: whether an earlier try arrived is asked without ordering it once more. */
async function lookUp(
  { agents, plan, log }: RunContext,
  { step, way }: AgentWork,
  trace: StepTrace,
): Promise<Accepted> {
  const { idempotencyKey } = orderOf(plan, step, { way, attempt: trace.attempt });
  try {
    const key = { $case: 'idempotencyKey', value: idempotencyKey } as const;
    return { operation: await agents.getOperation(plan.nodeUid, { key }), commands: [] };
  } catch (error) {
    if (!isPxmError(error, 'PXM_OPERATION_NOT_FOUND')) throw error;
    throw new PxmError('PXM_CANCELLED', { what: log.operation.title }, { cause: error });
  }
}

async function follow(context: RunContext, work: AgentWork, sent: StepTrace): Promise<Operation> {
  const stopCancel = passCancel(context, work, sent);
  const patience = new Patience(context, work);
  const reader = new EventReader(context, sent, () => {
    patience.sawLife();
  });
  try {
    for (;;) {
      const ended = await patience.run(() => reader.read());
      if (ended !== undefined) return ended;
      // The stream ended early and the operation goes on: the agent is stopping, or the watch was cut.
      await context.clock.sleep(context.limits.retryMinMs, context.stop);
    }
  } finally {
    stopCancel();
  }
}

/** Tells the agent when somebody cancels; the operation then ends by itself. */
function passCancel(context: RunContext, work: AgentWork, { agentOperationId }: StepTrace): () => void {
  const { step, way } = work;
  if (way === 'undo') return () => undefined;
  const { agents, plan, log } = context;
  const tell = (): void => {
    const asked = new Patience(context, work).run(() =>
      agents.cancelOperation(plan.nodeUid, agentOperationId, context.cancelActor()),
    );
    asked
      .catch((error: unknown) => {
        if (!isPxmError(error, 'PXM_OPERATION_ENDED') && !context.stop.aborted)
          log.note(step, 'the agent could not be told to cancel', 'warning');
      })
      // What cannot be written down now stops the operation itself at its next change.
      .catch(() => undefined);
  };
  if (context.cancel.aborted) tell();
  context.cancel.addEventListener('abort', tell, { once: true });
  return () => {
    context.cancel.removeEventListener('abort', tell);
  };
}

/** Reads on where the last read broke off. */
class EventReader {
  readonly #context: RunContext;
  readonly #bytes: ByteThrottle;
  readonly #onEvent: () => void;
  #trace: StepTrace;

  constructor(context: RunContext, trace: StepTrace, onEvent: () => void) {
    this.#context = context;
    this.#onEvent = onEvent;
    this.#trace = trace;
    this.#bytes = new ByteThrottle(context.clock);
  }

  /** The operation when it has ended; undefined when the stream ended before it. */
  async read(): Promise<Operation | undefined> {
    const { agents, plan, stop } = this.#context;
    const { agentOperationId: id, agentSeq } = this.#trace;
    let ended: Operation | undefined;
    for await (const event of agents.watchOperation(plan.nodeUid, id, { afterSeq: BigInt(agentSeq), signal: stop })) {
      this.#onEvent();
      this.#take(event);
      if (event.event?.$case === 'operation' && isOver(event.event.value)) ended = event.event.value;
    }
    if (ended !== undefined) return ended;
    const now = await agents.getOperation(plan.nodeUid, { key: { $case: 'id', value: id } });
    return isOver(now) ? now : undefined;
  }

  #take({ event, seq }: OperationEvent): void {
    const { log } = this.#context;
    this.#trace = { ...this.#trace, agentSeq: Number(seq) };
    switch (event?.$case) {
      case 'log':
      case 'command':
        log.mirror(this.#trace, event);
        return;
      case 'bytes':
        if (this.#bytes.admits(event.value)) log.mirror(this.#trace, event);
        return;
      case 'stepChanged':
        if (this.#trace.way === 'forward' && event.value.state === OperationState.OPERATION_STATE_RUNNING) {
          log.heard(this.#trace);
          log.moveStep(this.#trace.step, 'running', { detail: event.value.title });
        }
        return;
      default:
        log.heard(this.#trace);
    }
  }
}
