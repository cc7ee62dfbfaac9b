import type { OperationEvent } from '@pxmgr/contract/common';
import type { LiveOperation } from './live-operation.ts';

/** Its events after `afterSeq`, then those to come, to its end. */
export async function* followLive(
  live: LiveOperation,
  afterSeq: bigint,
  signal?: AbortSignal,
): AsyncGenerator<OperationEvent> {
  const pending = live.events(afterSeq);
  let wake: (() => void) | undefined;
  const stopListening = live.listen((event) => {
    pending.push(event);
    wake?.();
  });
  const onAbort = (): void => wake?.();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for (;;) {
      for (let event = pending.shift(); event !== undefined; event = pending.shift()) yield event;
      if (live.ended || signal?.aborted === true) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (pending.length > 0 || signal?.aborted === true) resolve();
      });
    }
  } finally {
    stopListening();
    signal?.removeEventListener('abort', onAbort);
  }
}
