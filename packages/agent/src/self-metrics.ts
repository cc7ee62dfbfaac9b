/** Figures about the agent itself for Prometheus, when the operator wants them; the library is loaded only then. */
import type { InventoryFeed } from './event/changes.ts';
import type { Outbox } from './event/outbox.ts';

export interface SelfMetricsParts {
  /** 127.0.0.1:port */
  readonly listen: string;
  readonly outbox: Outbox;
  readonly feed: InventoryFeed;
  readonly activeOperations: () => number;
}

/** Serves /metrics until the given function is called. Errors: PXM_LISTEN_FAILED. */
export async function serveSelfMetrics(parts: SelfMetricsParts): Promise<() => Promise<void>> {
  const { Metrics } = await import('@pxmgr/kit/metrics/metrics');
  const metrics = new Metrics();
  metrics.gauge({ name: 'pxmgr_event_outbox_objects', help: 'States that the bus has not confirmed yet' }, (gauge) => {
    gauge.set(parts.outbox.size);
  });
  metrics.gauge({ name: 'pxmgr_event_outbox_age_seconds', help: 'Age of the oldest of them' }, (gauge) => {
    const oldest = parts.outbox.oldestAt;
    gauge.set(oldest === undefined ? 0 : (Date.now() - oldest.getTime()) / 1000);
  });
  metrics.gauge({ name: 'pxmgr_inventory_view_objects', help: 'Objects of this node', labels: ['kind'] }, (gauge) => {
    gauge.reset();
    for (const { kind } of parts.feed.objects()) gauge.inc({ kind });
  });
  metrics.gauge({ name: 'pxmgr_inventory_failed_source_objects', help: 'Sources that could not be read' }, (gauge) => {
    gauge.set(parts.feed.failures().length);
  });
  metrics.gauge({ name: 'pxmgr_operation_active_objects', help: 'Operations that run or wait' }, (gauge) => {
    gauge.set(parts.activeOperations());
  });
  await metrics.listen({ host: '127.0.0.1', port: Number(parts.listen.split(':')[1]) });
  return () => metrics.stop();
}
