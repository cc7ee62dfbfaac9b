/**
 * Hosts whose guests really run (the `lxc` runtime), for steps that look inside one. Guests alike are started once and
 * shared; their steps run one after the other.
 */
import { canRunLxc } from '../../../packages/sim/src/lxc/can-run.ts';
import { hasBusybox } from './lab-files.ts';
import { runHere } from './made-outcome.ts';
import { type Lab, type LabSetUp, seedLab } from './recorded-host.ts';
import type { RecordedStep } from './recorded-step.ts';

const REACHES_INSIDE = /^(?:exec|enter)$/;

/** Without its cluster file system no tool comes as far as the guest. */
export function isLive({ argv, pre }: RecordedStep): boolean {
  const reaches = argv[0] === 'pct' && REACHES_INSIDE.test(argv[1] ?? '') && pre.quorate !== null;
  return reaches && pre.running_here.includes(argv[2] ?? '');
}

/** undefined: guests run on this machine. */
export async function whyNotLive(): Promise<string | undefined> {
  if (!hasBusybox) return 'no static busybox';
  const ability = await canRunLxc();
  return ability.ok ? undefined : ability.reason;
}

export class LiveLabs {
  readonly #labs = new Map<string, Promise<Lab>>();
  #last: Promise<unknown> = Promise.resolve();

  /** undefined where containers cannot run. */
  async use<T>(setUp: LabSetUp, work: (lab: Lab) => Promise<T>): Promise<T | undefined> {
    if ((await whyNotLive()) !== undefined) return undefined;
    const turn = this.#last.then(async () => work(await this.#labOf(setUp)));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #labOf(setUp: LabSetUp): Promise<Lab> {
    const key = JSON.stringify([setUp.step.host, setUp.step.pre.configs]);
    const lab = this.#labs.get(key) ?? startLab(setUp);
    this.#labs.set(key, lab);
    return lab;
  }

  async close(): Promise<void> {
    for (const started of this.#labs.values()) {
      const lab = await started.catch(() => undefined);
      if (lab === undefined) continue;
      for (const vmid of lab.started) await runHere(lab.host, ['pct', 'stop', vmid]);
      lab.remove();
    }
    this.#labs.clear();
  }
}

async function startLab(setUp: LabSetUp): Promise<Lab> {
  const lab = seedLab({ ...setUp, runtime: 'lxc' });
  for (const vmid of setUp.step.pre.running_here) {
    const ran = await runHere(lab.host, ['pct', 'start', vmid]);
    if (ran.exit !== 0) throw new Error(`the guest did not start: ${ran.stdout}${ran.stderr}`);
    lab.started.push(vmid);
  }
  return lab;
}
