/** `pveversion [-v]`: the level this stand-in answers for (pve-manager bin/pveversion). */
import type { Tool } from '../call/tool.ts';
import { PVE_REPOID, PVE_VERSION } from '../host/version.ts';

const KERNEL = '6.17.2-1-pve';

export const pveversion: Tool = async (host, argv, io) => {
  if (argv[0] !== '-v' && argv[0] !== '--verbose') {
    io.out(`pve-manager/${PVE_VERSION}/${PVE_REPOID} (running kernel: ${KERNEL})\n`);
    return 0;
  }
  const packages: readonly (readonly [string, string])[] = [
    ['proxmox-ve', '9.2.0'],
    ['pve-manager', PVE_VERSION],
    ['lxc-pve', '6.0.5-1'],
    ['libpve-storage-perl', '9.1.7'],
    ['pve-cluster', '9.1.6'],
    ['pve-container', host.identity.containerLevel],
    ['qemu-server', '9.2.6'],
    ['zfsutils-linux', '2.3.4-pve1'],
  ];
  io.out(
    `proxmox-ve: 9.2.0 (running kernel: ${KERNEL})\npve-manager: ${PVE_VERSION} (running version: ${PVE_VERSION}/${PVE_REPOID})\n`,
  );
  for (const [name, version] of packages.slice(2)) io.out(`${name}: ${version}\n`);
  return 0;
};
