/**
 * Folders of the API whose rows upstream writes out in the order shown here, with the field that names them
 * (pve-manager PVE/API2.pm, PVE/API2/{Cluster,Nodes,HAConfig,Tasks}.pm, pve-access-control src/PVE/API2/AccessControl.pm,
 * pve-container src/PVE/API2/LXC.pm and LXC/Status.pm, qemu-server src/PVE/API2/Qemu.pm, pve-storage
 * src/PVE/API2/Storage/Status.pm, pve-ha-manager src/PVE/API2/HA/Status.pm, pve-cluster src/PVE/API2/ClusterConfig.pm).
 */

const INDEXES: Readonly<Record<string, readonly [field: string, names: string]>> = {
  '/': ['subdir', 'version cluster nodes storage access pools'],
  '/access': ['subdir', 'users groups roles acl domains openid tfa ticket password'],
  '/cluster': [
    'name',
    'acme backup backup-info bulk-action ceph config firewall ha jobs log mapping metrics notifications nextid options qemu replication resources status tasks sdn',
  ],
  '/cluster/config': ['name', 'nodes totem join qdevice apiversion'],
  '/cluster/ha': ['id', 'status resources groups rules'],
  '/cluster/ha/status': ['name', 'current manager_status disarm-ha arm-ha'],
  '/nodes/{node}': [
    'name',
    'aplinfo apt capabilities ceph certificates config disks dns firewall hardware hosts journal lxc migrateall netstat network qemu query-oci-repo-tags query-url-metadata replication report rrd rrddata scan sdn services spiceshell startall status stopall storage subscription suspendall syslog tasks termproxy time version vncshell vzdump wakeonlan',
  ],
  '/nodes/{node}/tasks/{upid}': ['name', 'log status'],
  '/nodes/{node}/storage/{storage}': [
    'subdir',
    'content download-url file-restore import-metadata identity oci-registry-pull prunebackups rrd rrddata status upload',
  ],
  '/nodes/{node}/lxc/{vmid}': [
    'subdir',
    'config pending status vncproxy termproxy vncwebsocket spiceproxy migrate clone rrd rrddata firewall snapshot resize interfaces',
  ],
  '/nodes/{node}/lxc/{vmid}/status': ['subdir', 'current start stop shutdown reboot migrate'],
  '/nodes/{node}/lxc/{vmid}/snapshot/{snapname}': ['cmd', 'rollback config'],
  '/nodes/{node}/qemu/{vmid}': [
    'subdir',
    'config cloudinit pending status unlink vncproxy termproxy migrate resize move rrd rrddata monitor agent snapshot spiceproxy sendkey firewall mtunnel remote_migrate',
  ],
  '/nodes/{node}/qemu/{vmid}/status': ['subdir', 'current start stop reset shutdown suspend reboot'],
  '/nodes/{node}/qemu/{vmid}/snapshot/{snapname}': ['cmd', 'rollback config'],
};

/** undefined: the path is no such folder. */
export function indexOf(template: string): Record<string, string>[] | undefined {
  const [field, names] = Object.hasOwn(INDEXES, template) ? (INDEXES[template] ?? []) : [];
  return field === undefined ? undefined : names?.split(' ').map((name) => ({ [field]: name }));
}
