/** One step of `samples/recorded` replayed on a host of its own. */
import { TOOLS } from '../../../packages/sim/src/tool/all-tools.ts';
import { outcomeOf, runHere } from './made-outcome.ts';
import { makeImage } from './oci-images.ts';
import { differences } from './outcome.ts';
import { seedLab, stateOf } from './recorded-host.ts';
import { recordedOutcome } from './recorded-outcome.ts';
import type { RecordedStep } from './recorded-step.ts';

/** undefined: no tool of the stand-in, or one of several commands that ran at the same time. */
export async function replayRecordedStep(step: RecordedStep, template: string): Promise<string[] | undefined> {
  if (!Object.hasOwn(TOOLS, step.argv[0] ?? '') || step.group !== undefined) return undefined;
  const lab = seedLab(step, template);
  try {
    await makeImage(step, lab.host.path('/var/lib/vz/template/cache'));
    const before = stateOf(lab.host);
    const ran = await runHere(lab.host, step.argv, step.stdin);
    return differences(recordedOutcome(step), outcomeOf(ran, { before, after: stateOf(lab.host), node: step.host }));
  } finally {
    lab.remove();
  }
}
