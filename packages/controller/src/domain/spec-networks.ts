/** Network part of a spec: interfaces, name servers, search domain. */
import { limits, parseGuestName } from '@pxmgr/contract';
import type { ContainerSpec, NetworkInterface } from '@pxmgr/contract/common';
import { isCidr4, isCidr6, isIpv4, isIpv6 } from './address-check.ts';
import type { Complain } from './complaint.ts';

/** IFNAMSIZ is 16 with the final zero: torvalds/linux include/uapi/linux/if.h. */
const INTERFACE = /^[A-Za-z][A-Za-z0-9_.-]{0,14}$/;
/** The second digit even: a unicast address. */
const MAC = /^[0-9a-fA-F][02468aceACE](?::[0-9a-fA-F]{2}){5}$/;
const VLAN_MAX = 4094;
/** `mtu` of netN: proxmox/pve-container src/PVE/LXC/Config.pm. */
const MTU_MIN = 64;
const MTU_MAX = 65_535;

/** eth0, eth1, ...: the first name that no other interface has. */
export function nameNetworks(networks: readonly NetworkInterface[]): NetworkInterface[] {
  const taken = new Set(networks.map((network) => network.name));
  return networks.map((network) => {
    if (network.name !== '') return network;
    let index = 0;
    while (taken.has(`eth${index}`)) index += 1;
    taken.add(`eth${index}`);
    return { ...network, name: `eth${index}` };
  });
}

export function checkNetworks(spec: ContainerSpec, complain: Complain): void {
  const { networks } = spec;
  if (networks.length > limits.NET_INDEX_MAX + 1)
    complain('networks', `at most ${limits.NET_INDEX_MAX + 1} are possible`);
  networks.forEach((network, index) => {
    const at: Complain = (field, text) => {
      complain(`networks[${index}].${field}`, text);
    };
    checkLink(network, at);
    checkIpv4(network, at);
    checkIpv6(network, at);
    if (network.name !== '' && networks.findIndex((other) => other.name === network.name) !== index) {
      at('name', `${network.name} is given twice`);
    }
    const isSameMac = (other: NetworkInterface): boolean => other.mac.toLowerCase() === network.mac.toLowerCase();
    if (network.mac !== '' && networks.findIndex(isSameMac) !== index) at('mac', `${network.mac} is given twice`);
  });
  spec.nameservers.forEach((server, index) => {
    if (!isIpv4(server) && !isIpv6(server)) complain(`nameservers[${index}]`, `"${server}" is not an IP address`);
  });
  if (spec.searchDomain !== '' && !parseGuestName(spec.searchDomain).ok)
    complain('search_domain', 'is not a domain name');
}

function checkLink(network: NetworkInterface, at: Complain): void {
  if (network.name !== '' && !INTERFACE.test(network.name))
    at('name', `"${network.name}" is not a name of an interface`);
  if (!INTERFACE.test(network.bridge))
    at('bridge', network.bridge === '' ? 'is missing' : `"${network.bridge}" is not a bridge`);
  if (network.mac !== '' && !MAC.test(network.mac)) at('mac', 'must be a unicast address like bc:24:11:00:00:01');
  if (network.vlan > VLAN_MAX) at('vlan', `must be from 1 to ${VLAN_MAX}`);
  if (network.mtu !== 0 && (network.mtu < MTU_MIN || network.mtu > MTU_MAX))
    at('mtu', `must be from ${MTU_MIN} to ${MTU_MAX}`);
}

function checkIpv4({ ipv4, gateway4 }: NetworkInterface, at: Complain): void {
  const isStatic = isCidr4(ipv4);
  if (!isStatic && !['', 'dhcp', 'manual'].includes(ipv4))
    at('ipv4', `"${ipv4}" is not dhcp, manual or an address like 10.0.0.5/24`);
  if (gateway4 === '') return;
  if (!isIpv4(gateway4)) at('gateway4', `"${gateway4}" is not an IPv4 address`);
  if (!isStatic) at('gateway4', 'needs a fixed IPv4 address');
}

function checkIpv6({ ipv6, gateway6 }: NetworkInterface, at: Complain): void {
  const isStatic = isCidr6(ipv6);
  if (!isStatic && !['', 'dhcp', 'auto', 'manual'].includes(ipv6))
    at('ipv6', `"${ipv6}" is not dhcp, auto, manual or an address like fd00::5/64`);
  if (gateway6 === '') return;
  if (!isIpv6(gateway6)) at('gateway6', `"${gateway6}" is not an IPv6 address`);
  if (!isStatic) at('gateway6', 'needs a fixed IPv6 address');
}
