/** Between column values and domain values. Times are whole milliseconds; counters fit a double (checked on entry). */
export function toMs(at: Date): number {
  return at.getTime();
}

export function toMsOrNull(at: Date | undefined): number | null {
  return at === undefined ? null : at.getTime();
}

export function fromMsOrNull(ms: number | null): Date | undefined {
  return ms === null ? undefined : new Date(ms);
}

export function fromMs(ms: number): Date {
  return new Date(ms);
}
