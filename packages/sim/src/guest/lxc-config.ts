/**
 * What upstream asks of a config whenever it writes LXC's own file from it: after every change and before every start
 * (pve-container src/PVE/LXC.pm update_lxc_config). The texts of internal errors name its lines.
 */

import { ToolError } from '../call/tool.ts';
import type { Host } from '../host/host.ts';
import { parsePropertyString } from '../schema/value.ts';
import type { GuestSection } from '../text/guest-config.ts';
import { hasTemplateMark, requireDevice } from './change.ts';
import { parseMountPoint } from './mount-point.ts';
import { bridgeMtu } from './network.ts';

const INTERNAL = 'internal error at /usr/share/perl5/PVE/LXC.pm line';

export function requireLxcConfig(host: Host, config: GuestSection): void {
  if (hasTemplateMark(config)) return;
  if (!config.values.has('arch')) throw new ToolError(`missing 'arch' - ${INTERNAL} 729.\n`);
  if (!config.values.has('ostype')) throw new ToolError(`missing 'ostype' - ${INTERNAL} 735.\n`);
  const keys = [...config.values.keys()].sort();
  for (const key of keys) if (/^dev\d+$/.test(key)) requireDevice(host, config.values.get(key) ?? '');
  const rootfs = config.values.get('rootfs');
  if (rootfs === undefined) throw new ToolError("missing 'rootfs' configuration\n");
  parseMountPoint('rootfs', rootfs);
  for (const key of keys) if (/^net\d+$/.test(key)) requireNetwork(host, key, config.values.get(key) ?? '');
}

function requireNetwork(host: Host, key: string, text: string): void {
  const values = parsePropertyString('lxc.net', text);
  const limit = bridgeMtu(host, values['bridge'] ?? '');
  const mtu = Number(values['mtu'] ?? limit);
  if (mtu > limit) throw new ToolError(`${key}: MTU size '${mtu}' is bigger than bridge MTU '${limit}'\n`);
  if (values['link_down'] !== '1' && values['host-managed'] === '1' && values['ip6'] === 'auto')
    throw new ToolError(`${key}: SLAAC is not supported for host-managed network configuration\n`);
}
