/** The wall clock of a program, as far off as a test sets it while the program runs; durations are not touched. */
const RealDate = Date;
const LOOK_MS = 20;

/** `read` gives the milliseconds, or throws while nobody has set them; it is asked now and then. */
export function setWallClock(read: () => string): void {
  let found = { offsetMs: 0, atMs: Number.NEGATIVE_INFINITY };
  const wallMs = (): number => {
    const atMs = performance.now();
    if (atMs - found.atMs > LOOK_MS) found = { offsetMs: offsetIn(read), atMs };
    return RealDate.now() + found.offsetMs;
  };
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args: unknown[]) => Reflect.construct(target, args.length === 0 ? [wallMs()] : args) as Date,
    get: (target, name) => (name === 'now' ? wallMs : (Reflect.get(target, name) as unknown)),
  });
}

function offsetIn(read: () => string): number {
  try {
    return Number(read());
  } catch {
    // Not set.
    return 0;
  }
}
