/** `px.cmd.<uid>.resync`: the controller's wish that kinds be published again. */
import type { InventoryKind } from '@pxmgr/contract';
import { isInventoryKind, resyncSubject } from '@pxmgr/contract';
import { ResyncInventoryRequest, ResyncInventoryResponse } from '@pxmgr/contract/agent';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { Bus } from './bus.ts';

/** Kinds of a request; an empty or unreadable one means all of them. */
export function kindsOf(data: Uint8Array): InventoryKind[] {
  try {
    return ResyncInventoryRequest.decode(data).kinds.filter(isInventoryKind);
  } catch {
    // Whoever asks in another language still wants a repair: publishing too much does no harm.
    return [];
  }
}

/** `resync` queues the objects and gives their number, which is the answer. */
export function answerResync(
  bus: Bus,
  nodeUid: string,
  act: { resync: (kinds: InventoryKind[]) => number; logger: Logger },
): void {
  bus.connection.subscribe(resyncSubject(nodeUid), {
    callback: (error, message) => {
      if (error !== null) {
        act.logger.warn({ err: error }, 'resync subscription failed');
        return;
      }
      const kinds = kindsOf(message.data);
      const published = act.resync(kinds);
      act.logger.info({ kinds, published }, 'resync asked for by the controller');
      message.respond(ResyncInventoryResponse.encode({ published }).finish());
    },
  });
}
