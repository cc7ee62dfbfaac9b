import type { MetricsMessage } from '@pxmgr/contract/event';
import type { NodeMetrics } from '../domain/node-state.ts';

/** Latest figures per node, in memory only: they move all the time and are worth nothing a minute later. */
export class MetricsBoard {
  readonly #latest = new Map<string, MetricsMessage & { readonly at: Date }>();

  put(nodeUid: string, message: MetricsMessage, receivedAt: Date): void {
    this.#latest.set(nodeUid, { ...message, at: message.at ?? receivedAt });
  }

  node(nodeUid: string): NodeMetrics | undefined {
    const message = this.#latest.get(nodeUid);
    if (message === undefined) return undefined;
    const { at, cpuFraction, memoryUsedBytes, memoryTotalBytes, load1, uptimeSeconds } = message;
    return { at, cpuFraction, memoryUsedBytes, memoryTotalBytes, load1, uptimeSeconds };
  }

  /** With the figures of guests and storages. */
  message(nodeUid: string): MetricsMessage | undefined {
    return this.#latest.get(nodeUid);
  }

  forget(nodeUid: string): void {
    this.#latest.delete(nodeUid);
  }
}
