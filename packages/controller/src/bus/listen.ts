import { HEARTBEAT_FILTER, MANIFEST_FILTER, METRICS_FILTER, nodeUidOf } from '@pxmgr/contract';
import { HeartbeatMessage, ManifestMessage, MetricsMessage } from '@pxmgr/contract/event';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { NatsConnection, Subscription } from 'nats';

/** What agents say that is kept in no stream: the next one is soon there. */
export interface LiveListener {
  heartbeat(nodeUid: string, message: HeartbeatMessage): void;
  metrics(nodeUid: string, message: MetricsMessage): void;
  manifest(nodeUid: string, message: ManifestMessage): void;
}

/** Subscribes; what cannot be read is logged and dropped. */
export function listenLive(connection: NatsConnection, listener: LiveListener, logger: Logger): () => void {
  const on = (filter: string, take: (nodeUid: string, data: Uint8Array) => void): Subscription =>
    connection.subscribe(filter, {
      callback: (error, message) => {
        const uid = error === null ? nodeUidOf(message.subject) : undefined;
        if (uid === undefined) return;
        try {
          take(uid, message.data);
        } catch (failure) {
          logger.warn({ err: failure, subject: message.subject }, 'a live message could not be read');
        }
      },
    });
  const subscriptions = [
    on(HEARTBEAT_FILTER, (uid, data) => {
      listener.heartbeat(uid, HeartbeatMessage.decode(data));
    }),
    on(METRICS_FILTER, (uid, data) => {
      listener.metrics(uid, MetricsMessage.decode(data));
    }),
    on(MANIFEST_FILTER, (uid, data) => {
      listener.manifest(uid, ManifestMessage.decode(data));
    }),
  ];
  return () => {
    for (const subscription of subscriptions) subscription.unsubscribe();
  };
}
