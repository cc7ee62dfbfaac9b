/** What an agent can do on its node. Append only: names are stored in inventories. */
export const CAPABILITIES = [
  { name: 'container.lxc', needs: 'pct', since: '0.1.0' },
  { name: 'container.oci', needs: 'pve-container 6.1.8 or newer, and skopeo', since: '0.1.0' },
  { name: 'image.pull', needs: 'skopeo', since: '0.1.0' },
  { name: 'zfs', needs: 'zfs and zpool', since: '0.1.0' },
  { name: 'device.passthrough', needs: 'pve-container 5.1.1 or newer (devN)', since: '0.1.0' },
] as const;

export type Capability = (typeof CAPABILITIES)[number]['name'];

export function capabilityNeeds(name: Capability): string {
  return CAPABILITIES.find((row) => row.name === name)?.needs ?? '';
}
