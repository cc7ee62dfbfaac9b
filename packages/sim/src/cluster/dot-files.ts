/** Texts of the dot files, laid out as pve-cluster src/pmxcfs/status.c prints them. */

import { join } from 'node:path';
import type { Switches } from '../call/switches.ts';
import { readJson } from '../file/sim-file.ts';
import { type ClusterState, shownVersion, type View } from './state.ts';

/** Files whose changes have a counter of their own in .version (pve-cluster src/pmxcfs/status.c). */
export const WATCHED_FILES = [
  'corosync.conf',
  'corosync.conf.new',
  'storage.cfg',
  'user.cfg',
  'domains.cfg',
  'notifications.cfg',
  'priv/notifications.cfg',
  'priv/shadow.cfg',
  'priv/acme/plugins.cfg',
  'priv/tfa.cfg',
  'priv/token.cfg',
  'priv/wg-keys.cfg',
  'datacenter.cfg',
  'vzdump.cron',
  'vzdump.conf',
  'jobs.cfg',
  'ha/crm_commands',
  'ha/manager_status',
  'ha/resources.cfg',
  'ha/rules.cfg',
  'ha/groups.cfg',
  'ha/fence.cfg',
  'status.cfg',
  'replication.cfg',
  'ceph.conf',
  'sdn/vnets.cfg',
  'sdn/zones.cfg',
  'sdn/controllers.cfg',
  'sdn/subnets.cfg',
  'sdn/ipams.cfg',
  'sdn/mac-cache.json',
  'sdn/pve-ipam-state.json',
  'sdn/dns.cfg',
  'sdn/fabrics.cfg',
  'sdn/route-maps.cfg',
  'sdn/prefix-lists.cfg',
  'sdn/.running-config',
  'virtual-guest/cpu-models.conf',
  'virtual-guest/profiles.cfg',
  'firewall/cluster.fw',
  'mapping/directory.cfg',
  'mapping/pci.cfg',
  'mapping/usb.cfg',
] as const;

export function versionText(state: ClusterState, self: string): string {
  const member = state.members[self];
  if (member === undefined) return '';
  const { view } = member;
  const files = WATCHED_FILES.map((file) => `"${file}": ${(state.files[file] ?? 1) - (view.files[file] ?? 0)},\n`);
  const nodes = Object.keys(state.members).map((node) => {
    const tasks = (state.tasklist[node] ?? 1) - (view.tasklist[node] ?? 0);
    // A node that has just come up says nothing of itself until it has something to say.
    if (node === self && tasks === 0) return `"${node}": {\n}\n`;
    return `"${node}": {\n"tasklist": ${tasks},\n"kv/cpuflags-kvm": 0,\n"kv/cpuflags-tcg": 0,\n"kv/version-info": 0}\n`;
  });
  const counts = `"clinfo": ${state.clinfo - view.clinfo},\n"vmlist": ${state.vmlist - view.vmlist},\n`;
  return `{\n"starttime": ${member.startTime},\n${counts}${files.join('')}"kvstore": {\n${nodes.join(',\n')}}\n}\n`;
}

export function vmlistText(state: ClusterState, view: View): string {
  const version = state.vmlist - view.vmlist;
  const ids = Object.entries(state.guests).map(
    ([vmid, g]) => `"${vmid}": { "node": "${g.node}", "type": "${g.type}", "version": ${shownVersion(view, vmid, g)} }`,
  );
  if (ids.length === 0) return `{\n"version": ${version}\n}\n`;
  return `{\n"version": ${version},\n"ids": {\n${ids.join(',\n')}}\n\n}\n`;
}

export function membersText(state: ClusterState, self: string): string {
  if (state.clusterName === '') return `{\n"nodename": "${self}",\n"version": 0\n}\n`;
  const root = state.members[self]?.root ?? '';
  const isCut = readJson<Switches>(join(root, '.sim', 'switches.json'))?.noQuorum === true;
  const nodes = Object.entries(state.members).map(
    ([name, m]) =>
      `  "${name}": { "id": ${m.id}, "online": ${m.online && (!isCut || name === self) ? 1 : 0}, "ip": "${m.ip}"}`,
  );
  const version = state.clinfo - (state.members[self]?.view.clinfo ?? 0);
  const cluster = `{ "name": "${state.clusterName}", "version": ${nodes.length}, "nodes": ${nodes.length}, "quorate": ${isCut ? 0 : 1} }`;
  return `{\n"nodename": "${self}",\n"version": ${version},\n"cluster": ${cluster},\n"nodelist": {\n${nodes.join(',\n')}\n  }\n}\n`;
}
