/**
 * Values of a configuration as Proxmox stores them. What is none is unknown and no error, as it is there
 * (proxmox/pve-container src/PVE/LXC/Config.pm parse_pct_config warns and goes on): a line that somebody wrote by hand
 * must not hide its guest, let alone all others of the node.
 */
const MIB = 1024n * 1024n;
const UNITS: Readonly<Record<string, bigint>> = { '': 1n, K: 1024n, M: MIB, G: 1024n * MIB, T: 1024n * 1024n * MIB };

/** No file system holds more. */
const MOST_BYTES = 2n ** 63n - 1n;

/** Sizes as Proxmox stores them: 8G, 512M, 10486K, 0T, plain bytes. */
export function parseStoredSize(text: string | undefined): bigint {
  const match = /^([0-9]{1,18})(?:\.([0-9]{1,18}))?([KMGT]?)$/.exec(text ?? '');
  if (match === null) return 0n;
  const [, whole = '0', fraction = '', unit = ''] = match;
  const scale = UNITS[unit] ?? 1n;
  const bytes = BigInt(whole) * scale + (BigInt(fraction || '0') * scale) / 10n ** BigInt(fraction.length);
  return bytes > MOST_BYTES ? 0n : bytes;
}

/** A decimal number that every field of the wire can hold. */
export function wholeNumber(
  text: string | undefined,
  { digits = 9, unknown = 0 }: { digits?: number; unknown?: number } = {},
): number {
  return text !== undefined && /^[0-9]+$/.test(text) && text.length <= digits ? Number(text) : unknown;
}

export function splitTags(text: string | undefined): string[] {
  return (text ?? '')
    .split(/[;,\s]+/)
    .filter((tag) => tag !== '')
    .sort();
}
