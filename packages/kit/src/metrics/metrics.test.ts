import { describe, expect, it } from 'vitest';
import { commandMetrics, Metrics } from './metrics.ts';

describe('Metrics', () => {
  it('serves what was counted on loopback', async () => {
    const metrics = new Metrics();
    const calls = metrics.counter({ name: 'pxmgr_rpc_calls_total', help: 'Calls', labels: ['method'] });
    calls.inc({ method: 'GetNode' }, 2);
    metrics.gauge({ name: 'pxmgr_outbox_waiting_objects', help: 'Waiting' }, (gauge) => {
      gauge.set(5);
    });
    const observe = commandMetrics(metrics);
    observe({
      command: { file: '/usr/sbin/pct', args: [], purpose: '', timeoutMs: 1 },
      argv: [],
      exitCode: 2,
      signal: null,
      stdout: '',
      stderr: '',
      truncated: false,
      ms: 700,
      timedOut: false,
      cancelled: false,
    });
    const port = await metrics.listen({ host: '127.0.0.1', port: 0 });
    const text = await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text();
    await metrics.stop();
    expect(text).toContain('pxmgr_rpc_calls_total{method="GetNode"} 2');
    expect(text).toContain('pxmgr_outbox_waiting_objects 5');
    expect(text).toContain('pxmgr_exec_command_seconds_bucket{le="1",tool="pct",outcome="failed"} 1');
  });

  it('refuses names and labels outside the rule', () => {
    const metrics = new Metrics();
    expect(() => metrics.counter({ name: 'calls', help: '' })).toThrow('pxmgr_<room>');
    expect(() => metrics.counter({ name: 'pxmgr_rpc_calls_total', help: '', labels: ['vmid'] })).toThrow('no bounds');
  });
});
