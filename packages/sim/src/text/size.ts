/** Sizes as Proxmox VE reads and prints them (pve-common src/PVE/JSONSchema.pm parse_size, format_size). */

const UNITS = { K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 } as const;

/** Bytes, or undefined when the text is no size. Units are upper case, powers of 1024. */
export function parseSize(text: string): number | undefined {
  const parts = /^(\d+(?:\.\d+)?)(?:([KMGT])(?:iB)?)?$/.exec(text);
  if (parts?.[1] === undefined) return undefined;
  const unit = parts[2] === undefined ? 1 : UNITS[parts[2] as keyof typeof UNITS];
  return Math.trunc(Number(parts[1]) * unit);
}

/** The largest unit that divides exactly: 8192 MiB -> 8G, 0 -> 0T, 1536 -> 1536. */
export function formatSize(bytes: number): string {
  let size = Math.trunc(bytes);
  for (const [index, letter] of ['', 'K', 'M', 'G'].entries()) {
    const next = Math.floor(size / 1024);
    if (next * 1024 !== size) return `${size}${letter}`;
    size = next;
    if (index === 3) return `${size}T`;
  }
  return `${size}T`;
}
