/**
 * What a recording tells about the time before a step: the configs that earlier steps left, the tasks they ran. The
 * state of a step names only the guests concerned; lists over the whole cluster need the others too.
 */
import type { RecordedStep } from './recorded-step.ts';

export interface History {
  /** Config files by path below /etc/pve, as the last step before left them. */
  readonly configs: ReadonlyMap<string, string>;
  /** Logs of tasks by UPID, oldest first. */
  readonly tasks: ReadonlyMap<string, string>;
  /** Lines of `active` and `index` that were added, oldest first. */
  readonly active: readonly string[];
  readonly index: readonly string[];
  /** A guest ended in the step before: a late write of its config may fall into this one. */
  readonly hasGuestEnded: boolean;
}

interface Growing {
  readonly configs: Map<string, string>;
  readonly tasks: Map<string, string>;
  readonly active: string[];
  readonly index: string[];
  hasGuestEnded: boolean;
}

/** By step id. Steps stand in their files in the order they ran. */
export function historiesOf(steps: readonly RecordedStep[]): ReadonlyMap<string, History> {
  const files = new Map<string, Growing>();
  const found = new Map<string, History>();
  for (const step of steps) {
    const past = files.get(step.category) ?? {
      configs: new Map(),
      tasks: new Map(),
      active: [],
      index: [],
      hasGuestEnded: false,
    };
    files.set(step.category, past);
    for (const [path, text] of Object.entries(step.pre.configs)) past.configs.set(path, text);
    found.set(step.id, {
      configs: new Map(past.configs),
      tasks: new Map(past.tasks),
      active: [...past.active],
      index: [...past.index],
      hasGuestEnded: past.hasGuestEnded,
    });
    remember(past, step);
  }
  return found;
}

function remember(past: Growing, step: RecordedStep): void {
  const effects = step.effects ?? {};
  for (const [path, { after }] of Object.entries(effects.config ?? {})) {
    if (after === null) past.configs.delete(path);
    else past.configs.set(path, after);
  }
  for (const task of effects.tasks ?? []) past.tasks.set(task.upid, task.log);
  past.active.push(...(effects.active_added ?? []));
  past.index.push(...(effects.index_added ?? []));
  past.hasGuestEnded = endsGuest(step);
}

/** Whether a guest was up and went, or never came up: upstream's post-stop hook then writes its config, some time later. */
export function endsGuest(step: RecordedStep): boolean {
  const [before = [], after = []] = step.effects?.running ?? [];
  const isFailedStart = (step.effects?.tasks ?? []).some(
    (task) => /^vz(?:start|reboot)$/.test(task.type) && /TASK ERROR/.test(task.log),
  );
  return before.some((vmid) => !after.includes(vmid)) || isFailedStart;
}
