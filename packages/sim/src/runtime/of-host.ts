/** The runtime a host was made with, loaded when first asked for. */
import type { Host } from '../host/host.ts';
import type { GuestRuntime } from './runtime.ts';

export async function runtimeOf(host: Host): Promise<GuestRuntime> {
  if (host.runtime === 'lxc') return (await import('./lxc.ts')).lxcRuntime;
  return (await import('./played.ts')).playedRuntime;
}
