import { type InventoryKind, isInventoryKind, type Position, parseInventorySubject } from '@pxmgr/contract';
import type { InventoryDocument } from '@pxmgr/contract/common';
import { type Cause, InventoryMessage } from '@pxmgr/contract/event';

/** One observation as an agent told it: the current state of one object, or that it is gone. */
export interface Observed {
  readonly nodeUid: string;
  readonly kind: InventoryKind;
  readonly id: string;
  readonly position: Position;
  readonly observedAt: Date;
  readonly hash: string;
  /** Undefined = gone. */
  readonly document: InventoryDocument | undefined;
  readonly cause: Cause | undefined;
  /** Repeats what is, without saying that it changed. */
  readonly resync: boolean;
}

export type ReadMessage =
  | { readonly ok: true; readonly observed: Observed }
  | { readonly ok: false; readonly reason: string };

/** Counters are stored as doubles; an agent would need 285,000 years at 1,000 events/s. */
const COUNTER_MAX = BigInt(Number.MAX_SAFE_INTEGER);
const ID_MAX = 512;

function refuse(reason: string): ReadMessage {
  return { ok: false, reason };
}

/** Reads one message of the inventory stream; never throws. The subject decides who speaks: NATS enforces it. */
export function readInventoryMessage(subject: string, data: Uint8Array, receivedAt: Date): ReadMessage {
  const address = parseInventorySubject(subject);
  if (address === undefined) return refuse('the subject is not one of an inventory object');
  const message = decode(data);
  if (message === undefined) return refuse('the body is not an inventory message');
  const problem = problemOf(message, address);
  if (problem !== undefined) return refuse(problem);
  return {
    ok: true,
    observed: {
      ...address,
      position: { generation: message.generation, revision: message.revision },
      observedAt: message.observedAt ?? receivedAt,
      hash: message.hash,
      document: message.deleted ? undefined : message.document,
      cause: message.cause,
      resync: message.resync,
    },
  };
}

function decode(data: Uint8Array): InventoryMessage | undefined {
  try {
    return InventoryMessage.decode(data);
  } catch {
    // Any fault of the decoder means the same: not a message.
    return undefined;
  }
}

function problemOf(message: InventoryMessage, address: { kind: string; id: string }): string | undefined {
  if (message.kind !== address.kind || message.id !== address.id) return 'kind and id do not agree with the subject';
  if (address.id === '' || address.id.length > ID_MAX) return 'the id is empty or too long';
  if (message.generation > COUNTER_MAX || message.revision > COUNTER_MAX)
    return 'generation or revision is out of range';
  if (Number.isNaN(message.observedAt?.getTime() ?? 0)) return 'the time is not a time';
  const hasDocument = message.deleted || isKindOfDocument(address.kind, message.document);
  return hasDocument ? undefined : 'the document is missing or of another kind';
}

/** The same from an answer of the agent's GetInventory. */
export function isKindOfDocument(kind: string, document: InventoryDocument | undefined): kind is InventoryKind {
  return isInventoryKind(kind) && document?.document?.$case === kind;
}
