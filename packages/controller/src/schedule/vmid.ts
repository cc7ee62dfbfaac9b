/** First and last vmid that placements may use. */
export interface VmidRange {
  readonly first: number;
  readonly last: number;
}

/** The lowest vmid of the range that nobody has; undefined when all are taken. */
export function lowestFree(range: VmidRange, isTaken: (vmid: number) => boolean): number | undefined {
  for (let vmid = range.first; vmid <= range.last; vmid += 1) if (!isTaken(vmid)) return vmid;
  return undefined;
}
