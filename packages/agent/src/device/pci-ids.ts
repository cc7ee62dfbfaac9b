/** Names of PCI devices from the system's `pci.ids` (pciutils/pciids pci.ids: vendor lines, device lines with one tab). */

/** `vendor` and `device` are four lower-case hex digits; undefined when the file does not know them. */
export function deviceName(text: string, vendor: string, device: string): string | undefined {
  const start = text.indexOf(`\n${vendor}  `);
  if (start < 0) return undefined;
  const vendorEnd = text.slice(start + 1).search(/\n[0-9a-fC]/);
  const block = vendorEnd < 0 ? text.slice(start + 1) : text.slice(start + 1, start + 1 + vendorEnd);
  const row = new RegExp(`^\\t${device}  (.+)$`, 'm').exec(block);
  return row?.[1]?.trim();
}
