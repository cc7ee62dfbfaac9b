/** What says the same has the same bytes, and what hardly moves stands still: each difference is a row in somebody's history. */
const MIB = 1024n * 1024n;

/** Down to a whole number of 16 MiB. */
export function to16Mib(bytes: bigint): bigint {
  return bytes - (bytes % (16n * MIB));
}

/**
 * Down to about 1 % of the value, 1 MiB at least: the figures of a pool move with every write of every guest, and a
 * document that never rests would be a change row every minute.
 */
export function toOnePercent(bytes: bigint): bigint {
  let step = MIB;
  while (step * 128n <= bytes) step *= 2n;
  return bytes - (bytes % step);
}

/** Same keys, same bytes: the encoder writes map entries in insertion order. */
export function sortedRecord(entries: Iterable<readonly [string, string]>): Record<string, string> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}
