/** One recorded step on a host of its own (or a shared one whose guests really run), and what came out different. */
import { spawnSync } from 'node:child_process';
import type { Host } from '../../../packages/sim/src/host/host.ts';
import { TOOLS } from '../../../packages/sim/src/tool/all-tools.ts';
import { groupStep } from './group-step.ts';
import { endsGuest, type History } from './history.ts';
import { stateOf } from './host-state.ts';
import type { Template } from './lab-files.ts';
import { isLive, type LiveLabs } from './live-labs.ts';
import { outcomeOf, type Ran, runHere } from './made-outcome.ts';
import { type ImageNotes, makeImage } from './oci-images.ts';
import { differences, withLateWrite } from './outcome.ts';
import { type Lab, type LabSetUp, seedLab } from './recorded-host.ts';
import { recordedOutcome } from './recorded-outcome.ts';
import type { RecordedStep } from './recorded-step.ts';
import { runRequest } from './rest-step.ts';

export interface Replaying {
  readonly template: Template;
  readonly images: ImageNotes;
  readonly live: LiveLabs;
  readonly histories: ReadonlyMap<string, History>;
}

const NOTHING: History = { configs: new Map(), tasks: new Map(), active: [], index: [], hasGuestEnded: false };

/** undefined: no tool of the stand-in, one of several commands that ran at the same time, or no machine for guests. */
export async function replayRecordedStep(step: RecordedStep, at: Replaying): Promise<string[] | undefined> {
  const isRest = step.argv[0] === 'curl';
  if (!(isRest || isPlainRead(step) || Object.hasOwn(TOOLS, step.argv[0] ?? ''))) return undefined;
  const history = at.histories.get(step.id) ?? NOTHING;
  const setUp = { step, template: at.template, history, runtime: 'played' } as const;
  if (isLive(step) && step.group === undefined) return at.live.use(setUp, (lab) => compared(lab, setUp));
  const lab = seedLab(setUp);
  try {
    await makeImage(step, at.images, lab.host.path('/var/lib/vz/template/cache'));
    return step.group === undefined ? await compared(lab, setUp) : await groupStep(lab, step);
  } finally {
    lab.remove();
  }
}

/** The machine's own `cat` and `ls` on the files of the stand-in. */
function isPlainRead({ argv }: RecordedStep): boolean {
  return /^(?:cat|ls)$/.test(argv[0] ?? '') && argv.at(-1)?.startsWith('/etc/pve') === true;
}

async function runOn(host: Host, step: RecordedStep): Promise<Ran> {
  if (step.argv[0] === 'curl') return runRequest(host, step);
  if (!isPlainRead(step)) return runHere(host, step.argv, step);
  const [file = '', ...words] = step.argv;
  const args = words.map((word) => (word.startsWith('/') ? host.path(word) : word));
  const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', env: { LC_ALL: 'C.UTF-8' } });
  return { exit: status ?? -1, stdout, stderr };
}

async function compared({ host }: Lab, { step, history }: LabSetUp): Promise<string[]> {
  const before = stateOf(host);
  const ran = await runOn(host, step);
  const isLong = typeof step.stdout !== 'string';
  const made = outcomeOf(ran, { before, after: stateOf(host), node: step.host, isLong });
  return differences(withLateWrite(recordedOutcome(step), made, endsGuest(step) || history.hasGuestEnded), made);
}
