/**
 * Addresses of host-managed interfaces: after the start the node runs a DHCP client in the guest's network (pve-container
 * src/PVE/LXC/Setup.pm and the code behind `host-managed`). It is run without a profile, so a kernel without AppArmor fails it.
 */

import { parsePropertyString } from '../schema/value.ts';
import type { GuestSection } from '../text/guest-config.ts';

export interface DhcpWork {
  readonly vmid: number;
  /** Process id of the guest's init. */
  readonly pid: number;
  readonly log: (text: string) => void;
  readonly warn: (text: string) => void;
}

export function failDhcp(config: GuestSection, work: DhcpWork): void {
  for (const [key, value] of config.values) {
    if (!/^net\d+$/.test(key)) continue;
    const net = parsePropertyString('lxc.net', value);
    if (net['host-managed'] !== '1' || net['link_down'] === '1') continue;
    for (const [option, family] of [
      ['ip', 4],
      ['ip6', 6],
    ] as const)
      if (net[option] === 'dhcp') failClient(net['name'] ?? '', family, work);
  }
}

function failClient(name: string, family: 4 | 6, { vmid, pid, log, warn }: DhcpWork): void {
  const files = `/var/lib/lxc/${vmid}/hook/dhclient${family}-${name}`;
  const client = `/sbin/dhclient -1 -${family} -pf ${files}.pid -lf ${files}.leases -e 'ROOTFS=/proc/${pid}/root' -sf /usr/share/lxc/hooks/dhclient-script ${name}`;
  const command = `lxc-attach -n ${vmid} -s 'NETWORK|UTSNAME' -- aa-exec -p unconfined ${client}`;
  log(`[${process.pid}] aa-exec: ERROR: AppArmor interface not available\n`);
  warn(`DHCP failed - command '${command}' failed: exit code 1`);
}
