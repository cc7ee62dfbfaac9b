/** The properties themselves, for any number of runs. */
import fc from 'fast-check';
import { type Script, showScript } from './faults.ts';
import { isRestart } from './witness.ts';
import { runScript, Template } from './world.ts';

export interface Effort {
  readonly runs: number;
  /** Repeats one run that failed. */
  readonly seed?: number | undefined;
}

/** Throws with the shortest script that fails, the seed and what did not hold. */
export async function checkScripts(
  scripts: fc.Arbitrary<Script>,
  holds: (template: Template, script: Script) => Promise<readonly string[]>,
  { runs, seed }: Effort,
): Promise<void> {
  const template = new Template();
  try {
    const property = fc.asyncProperty(scripts, async (script) => {
      const problems = await holds(template, script);
      if (problems.length > 0) throw new Error(problems.join('\n'));
    });
    const result = await fc.check(property, { numRuns: runs, ...(seed === undefined ? {} : { seed }) });
    if (!result.failed) return;
    const [script] = result.counterexample ?? [[]];
    const error = result.errorInstance instanceof Error ? result.errorInstance.message : String(result.errorInstance);
    throw new Error(
      `seed ${String(result.seed)}, run ${String(result.numRuns)}, shortened ${String(result.numShrinks)} times\n${showScript(script)}\n${error}`,
    );
  } finally {
    template.remove();
  }
}

/** Whatever happens: the view becomes the truth in time, and the history tells nothing that was not and marks its gaps. */
export async function holdsAlways(template: Template, script: Script): Promise<readonly string[]> {
  return (await runScript(template, script)).problems;
}

/** After faults that lose nothing, nothing is missing: no gap but that an agent began anew. */
export async function holdsWithoutLoss(template: Template, script: Script): Promise<readonly string[]> {
  const { problems, gaps } = await runScript(template, script, true);
  return [...problems, ...gaps.filter((gap) => !isRestart(gap)).map((gap) => `a gap though nothing was lost: ${gap}`)];
}
