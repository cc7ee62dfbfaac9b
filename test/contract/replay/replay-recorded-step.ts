/** One recorded step on a host of its own (or a shared one whose guests really run), and what came out different. */
import { TOOLS } from '../../../packages/sim/src/tool/all-tools.ts';
import { endsGuest, type History } from './history.ts';
import { stateOf } from './host-state.ts';
import type { Template } from './lab-files.ts';
import { outcomeOf, runHere } from './made-outcome.ts';
import { type ImageNotes, makeImage } from './oci-images.ts';
import { differences, withLateWrite } from './outcome.ts';
import { seedLab } from './recorded-host.ts';
import { recordedOutcome } from './recorded-outcome.ts';
import type { RecordedStep } from './recorded-step.ts';

export interface Replaying {
  readonly template: Template;
  readonly images: ImageNotes;
  readonly histories: ReadonlyMap<string, History>;
}

const NOTHING: History = { configs: new Map(), tasks: new Map(), active: [], index: [], hasGuestEnded: false };

/** undefined: no tool of the stand-in, or one of several commands that ran at the same time. */
export async function replayRecordedStep(step: RecordedStep, at: Replaying): Promise<string[] | undefined> {
  if (!Object.hasOwn(TOOLS, step.argv[0] ?? '') || step.group !== undefined) return undefined;
  const history = at.histories.get(step.id) ?? NOTHING;
  const lab = seedLab({ step, template: at.template, history, runtime: 'played' });
  try {
    await makeImage(step, at.images, lab.host.path('/var/lib/vz/template/cache'));
    const before = stateOf(lab.host);
    const ran = await runHere(lab.host, step.argv, { stdin: step.stdin });
    const made = outcomeOf(ran, { before, after: stateOf(lab.host), node: step.host });
    return differences(withLateWrite(recordedOutcome(step), made, endsGuest(step) || history.hasGuestEnded), made);
  } finally {
    lab.remove();
  }
}
