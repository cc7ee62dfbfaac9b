/** The agent reads all guests of a host: the collectors of the real agent over a stand-in host with 100 containers. */
import { GuestList } from '@pxmgr/agent/guest/guest-list';
import { RunState } from '@pxmgr/agent/guest/run-state';
import { HostPaths } from '@pxmgr/agent/host/paths';
import { GuestCollectors } from '@pxmgr/agent/inventory/guests';
import { createMask } from '@pxmgr/agent/inventory/mask';
import { systemClock } from '@pxmgr/kit/clock';
import { makeHost, SMALL_TEMPLATE } from '@pxmgr/sim/host.fixture';
import { type Measured, median, type Probe, type ProbeOptions, percentile } from '../probe.ts';

const GUESTS = 100;

async function run({ quick }: ProbeOptions): Promise<readonly Measured[]> {
  const count = quick ? 10 : GUESTS;
  const stand = makeHost();
  try {
    for (let vmid = 100; vmid < 100 + count; vmid += 1) {
      const made = await stand.run(
        ...([
          'pct',
          'create',
          String(vmid),
          SMALL_TEMPLATE,
          '--rootfs',
          'local:0.01',
          '--hostname',
          `g${String(vmid)}`,
        ] as const),
        '--unprivileged',
        '1',
        '--ostype',
        'unmanaged',
      );
      if (made.status !== 0) throw new Error(`pct create ${String(vmid)}: ${made.stderr}`);
    }
    const paths = new HostPaths(stand.host.root);
    const list = new GuestList(paths, stand.host.name, new RunState(paths, systemClock));
    const times: number[] = [];
    for (let round = 0; round < (quick ? 5 : 50); round += 1) {
      const { containers } = new GuestCollectors(list, { mask: createMask('bench'), originOf: () => undefined });
      const start = performance.now();
      const found = await containers.collect();
      times.push(performance.now() - start);
      if (found.length !== count) throw new Error(`${String(found.length)} guests found`);
    }
    const detail = `${String(count)} containers on a stand-in host (none running), first ${(times[0] ?? 0).toFixed(1)} ms, p99 ${percentile(times, 99).toFixed(1)} ms`;
    return [{ name: 'agent-scan', value: median(times), detail }];
  } finally {
    stand.remove();
  }
}

export const agentScan: Probe = { names: ['agent-scan'], run };
