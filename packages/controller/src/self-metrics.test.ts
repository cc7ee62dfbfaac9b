import { Metrics } from '@pxmgr/kit/metrics/metrics';
import { expect, it } from 'vitest';
import { registerSelfMetrics, type SelfFacts } from './self-metrics.ts';

it('tells figures by name, and zeros before the controller is up', async () => {
  const metrics = new Metrics();
  const now: { facts?: SelfFacts } = {};
  registerSelfMetrics(metrics, () => now.facts);
  expect(await metrics.text()).toContain('pxmgr_store_database_bytes 0');
  const loop = { name: 'presence', runs: 3, failures: 2, lastRunAt: undefined, lastMs: 1, lastError: undefined };
  now.facts = {
    presences: ['up', 'up', 'down'],
    objects: new Map([['container', 5]]),
    committed: 9,
    busRestarts: 1,
    databaseBytes: 4096,
    operationsActive: 0,
    reservationsActive: 0,
    loops: [loop],
  };
  const text = await metrics.text();
  for (const line of [
    'pxmgr_fleet_node_objects{presence="up"} 2',
    'pxmgr_fleet_node_objects{presence="suspect"} 0',
    'pxmgr_inventory_view_objects{kind="container"} 5',
    'pxmgr_bus_committed_total 9',
    'pxmgr_loop_failures_total{loop="presence"} 2',
  ]) {
    expect(text).toContain(line);
  }
});
