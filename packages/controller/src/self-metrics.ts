import type { InventoryKind } from '@pxmgr/contract';
import type { Metrics } from '@pxmgr/kit/metrics/metrics';
import type { Presence } from './domain/node-state.ts';
import type { LoopStatus } from './loop/driver.ts';

/** What the controller tells about itself at each scrape. */
export interface SelfFacts {
  readonly presences: readonly Presence[];
  readonly objects: ReadonlyMap<InventoryKind, number>;
  readonly committed: number;
  readonly busRestarts: number;
  readonly databaseBytes: number;
  readonly operationsActive: number;
  readonly reservationsActive: number;
  readonly loops: readonly LoopStatus[];
}

/** Registers the figures; `read` gives undefined while the controller is not up. */
export function registerSelfMetrics(metrics: Metrics, read: () => SelfFacts | undefined): void {
  const single = (name: string, help: string, pick: (facts: SelfFacts) => number): void => {
    metrics.gauge({ name, help }, (gauge) => {
      const facts = read();
      gauge.set(facts === undefined ? 0 : pick(facts));
    });
  };
  single('pxmgr_bus_restarts_total', 'Restarts of the supervised nats-server', (facts) => facts.busRestarts);
  single('pxmgr_bus_committed_total', 'Inventory messages stored since the start', (facts) => facts.committed);
  single('pxmgr_store_database_bytes', 'Size of the database', (facts) => facts.databaseBytes);
  single('pxmgr_execute_operation_objects', 'Operations that have not ended', (facts) => facts.operationsActive);
  single('pxmgr_execute_reservation_objects', 'Reservations that hold', (facts) => facts.reservationsActive);
  const nodes = { name: 'pxmgr_fleet_node_objects', help: 'Nodes by presence', labels: ['presence'] as const };
  metrics.gauge(nodes, (gauge) => {
    gauge.reset();
    for (const presence of ['joined', 'up', 'suspect', 'down'] as const) gauge.set({ presence }, 0);
    for (const presence of read()?.presences ?? []) gauge.inc({ presence });
  });
  const objects = { name: 'pxmgr_inventory_view_objects', help: 'Objects by kind', labels: ['kind'] as const };
  metrics.gauge(objects, (gauge) => {
    gauge.reset();
    for (const [kind, count] of read()?.objects ?? []) gauge.set({ kind }, count);
  });
  const loops = {
    name: 'pxmgr_loop_failures_total',
    help: 'Failed runs of background loops',
    labels: ['loop'] as const,
  };
  metrics.gauge(loops, (gauge) => {
    for (const { name, failures } of read()?.loops ?? []) gauge.set({ loop: name }, failures);
  });
}
