import { hasEnded } from '@pxmgr/contract';
import type { OperationEvent } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Records } from '../plan/records.ts';
import type { WatchHub } from './watch-hub.ts';

const PAGE = 200;

/**
 * All events after `afterSeq`, then those to come; ends with the operation or the signal. A slow reader holds one page in
 * memory and delays nobody. Errors: PXM_OPERATION_NOT_FOUND.
 */
export async function* watchOperation(
  parts: { readonly records: Records; readonly hub: WatchHub },
  id: string,
  from: { readonly afterSeq: bigint; readonly signal: AbortSignal },
): AsyncGenerator<OperationEvent> {
  const over = new AbortController();
  const signal = AbortSignal.any([from.signal, over.signal]);
  let seq = from.afterSeq;
  try {
    while (!from.signal.aborted) {
      const changed = parts.hub.next(id, signal);
      const record = parts.records.operations.get(id);
      if (record === undefined) throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation: id });
      const events = parts.records.operations.events(id, seq, PAGE);
      for (const event of events) {
        yield event;
        seq = event.seq;
      }
      if (events.length === PAGE) continue;
      if (hasEnded(record.state)) return;
      await changed;
    }
  } finally {
    over.abort();
  }
}
