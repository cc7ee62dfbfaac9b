/** What was done with a pool, for `zpool history`: the command lines that changed something. */
import type { Host } from '../host/host.ts';
import { changePools, poolOf } from './state.ts';

const KEPT = 200;

export function recordHistory(host: Host, at: { dataset: string; text: string }): void {
  changePools(host, (state) => {
    const pool = state.pools.find((entry) => entry.name === poolOf(at.dataset));
    if (pool === undefined) return;
    const entry = { time: Math.floor(Date.now() / 1000), text: at.text };
    pool.history = [...(pool.history ?? []), entry].slice(-KEPT);
  });
}
