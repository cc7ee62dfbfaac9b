/** Runs steps side by side (some of them wait for seconds) and tells for each what differs; undefined: it cannot be run here. */

export interface Replayed {
  readonly id: string;
  /** Empty: equal. */
  readonly differences: readonly string[] | undefined;
}

const SIDE_BY_SIDE = 6;
const LIMIT_MS = 240_000;

export async function replayAll<T extends { readonly id: string }>(
  steps: readonly T[],
  replay: (step: T) => Promise<readonly string[] | undefined>,
): Promise<Replayed[]> {
  const queue = [...steps];
  const done: Replayed[] = [];
  const work = async (): Promise<void> => {
    for (let step = queue.shift(); step !== undefined; step = queue.shift())
      done.push({ id: step.id, differences: await limited(replay(step)) });
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  return done;
}

async function limited(work: Promise<readonly string[] | undefined>): Promise<readonly string[] | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string[]>((resolve) => {
    timer = setTimeout(() => resolve([`did not end within ${LIMIT_MS} ms`]), LIMIT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } catch (err) {
    return [`threw ${String(err)}`];
  } finally {
    clearTimeout(timer);
  }
}

/** Such a step may be equal or not from one run to the next; the others have to stay as they are listed. */
const UNSTEADY = /depends on the moment/;

export interface Verdict {
  /** Steps that differ and are not listed, with what differs. */
  readonly broken: readonly string[];
  /** Steps that are listed and became equal, or do not exist. */
  readonly listedInVain: readonly string[];
  readonly summary: string;
}

/** `listed`: reason -> ids of the steps that the stand-in does not claim. */
export function judge(
  title: string,
  replayed: readonly Replayed[],
  listed: Readonly<Record<string, readonly string[]>>,
): Verdict {
  const reasons = new Map(Object.entries(listed).flatMap(([reason, ids]) => ids.map((id) => [id, reason])));
  const byId = new Map(replayed.map((step) => [step.id, step.differences]));
  const isEqual = (id: string): boolean => byId.get(id)?.length === 0;
  const broken = replayed
    .filter(({ id }) => !reasons.has(id) && !isEqual(id))
    .map(({ id, differences }) => `${id}\n   ${differences?.join('\n   ') ?? 'cannot be run here'}`);
  const listedInVain = [...reasons].filter(([id, reason]) => !byId.has(id) || (isEqual(id) && !UNSTEADY.test(reason)));
  const covered = replayed.filter(({ id }) => !reasons.has(id));
  const equal = covered.filter(({ id }) => isEqual(id)).length;
  const share = ((100 * covered.length) / Math.max(replayed.length, 1)).toFixed(1);
  const left = Object.entries(listed).map(([reason, ids]) => `  ${String(ids.length).padStart(4)}  ${reason}`);
  return {
    broken,
    listedInVain: listedInVain.map(([id]) => id),
    summary: `${title}: ${replayed.length} steps, ${covered.length} covered (${share} %), ${equal} of them equal; not covered:\n${left.join('\n')}\n`,
  };
}
