/** What may happen to a fleet, as a script that fast-check makes and shrinks. */
import fc from 'fast-check';
import type { Kind } from './agent.ts';
import type { KillPoint } from './controller.ts';
import type { DeliveryFate, PublishFate } from './stream.ts';

export const NODES = 2;

export interface HostChange {
  readonly kind: Kind;
  readonly id: string;
  /** undefined = removed. */
  readonly value: number | undefined;
}

export type Step =
  /** `noticed`: the watcher saw it; else only the full look finds it. */
  | {
      readonly do: 'change';
      readonly node: number;
      readonly kind: Kind;
      readonly id: string;
      readonly value: number;
      readonly noticed: boolean;
    }
  | {
      readonly do: 'remove';
      readonly node: number;
      readonly kind: Kind;
      readonly id: string;
      readonly noticed: boolean;
    }
  | { readonly do: 'wait'; readonly ms: number }
  /** The last bytes of its outbox may not have been written; meanwhile the host may change; a source may be away. */
  | {
      readonly do: 'restart-agent';
      readonly node: number;
      readonly tornBytes: number;
      readonly meanwhile: readonly HostChange[];
      readonly failing: Kind | undefined;
    }
  | { readonly do: 'cut-agent'; readonly node: number; readonly isOnline: boolean }
  /** A day without this agent on the bus, with changes on its host. */
  | { readonly do: 'day-away'; readonly node: number; readonly changes: number }
  | { readonly do: 'source-fails'; readonly node: number; readonly kind: Kind; readonly times: number }
  /** With what the agents have sent and nobody has read, or before they send. */
  | { readonly do: 'wipe-bus'; readonly isSent: boolean }
  | { readonly do: 'controller-away'; readonly isAway: boolean }
  | { readonly do: 'kill-controller'; readonly at: KillPoint | 'now' }
  | { readonly do: 'publish-fates'; readonly node: number; readonly fates: readonly PublishFate[] }
  | { readonly do: 'delivery-fates'; readonly fates: readonly DeliveryFate[] }
  | { readonly do: 'repairs-fail'; readonly times: number }
  | { readonly do: 'step-clock'; readonly side: 'controller' | number; readonly ms: number };

export type Script = readonly Step[];

/** Mostly the first: faults that meet say more than faults far apart. */
const node = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: NODES - 1 }) });
const kind = fc.constantFrom<Kind>('container', 'container', 'storage');
const idOf = (of: Kind, index: number): string => (of === 'container' ? String(101 + index) : `store${String(index)}`);
const object = fc.tuple(kind, fc.nat({ max: 1 })).map(([of, index]) => ({ kind: of, id: idOf(of, index) }));
/** Small values come back, large ones do not. */
const value = fc.oneof(fc.nat({ max: 1 }), fc.integer({ min: 2, max: 1_000_000 }));

const change = (noticed: fc.Arbitrary<boolean>): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .tuple(node, object, value, noticed)
        .map(([at, of, to, seen]): Step => ({ do: 'change', node: at, ...of, value: to, noticed: seen })),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(node, object, noticed)
        .map(([at, of, seen]): Step => ({ do: 'remove', node: at, ...of, noticed: seen })),
    },
  );
const wait = fc.constantFrom(0, 0, 200, 1000, 5000, 40_000).map((ms): Step => ({ do: 'wait', ms }));
const fates = <F extends string>(...names: F[]): fc.Arbitrary<F[]> =>
  fc.array(fc.constantFrom<F>('arrives' as F, ...names), { minLength: 1, maxLength: 4 });
const clockStep = fc
  .tuple(
    fc.oneof(fc.constant('controller' as const), node),
    fc.constantFrom(-172_800_000, -3_600_000, 3_600_000, 172_800_000),
  )
  .map(([side, ms]): Step => ({ do: 'step-clock', side, ms }));
const killPoint = fc.constantFrom<KillPoint | 'now'>('now', 'before-commit', 'after-commit');
const kill = killPoint.map((at): Step => ({ do: 'kill-controller', at }));

const hostChange = fc
  .tuple(object, fc.option(value, { nil: undefined }))
  .map(([of, to]): HostChange => ({ ...of, value: to }));
const restart = fc
  .record({
    node,
    tornBytes: fc.oneof(fc.constant(0), fc.nat({ max: 40 })),
    meanwhile: fc.array(hostChange, { maxLength: 2 }),
    failing: fc.option(kind, { nil: undefined, freq: 3 }),
  })
  .map((part): Step => ({ do: 'restart-agent', ...part }));
const cleanRestart = node.map(
  (at): Step => ({ do: 'restart-agent', node: at, tornBytes: 0, meanwhile: [], failing: undefined }),
);

const anyFault: fc.Arbitrary<Step> = fc.oneof(
  restart,
  restart,
  fc.tuple(node, fc.boolean()).map(([at, isOnline]): Step => ({ do: 'cut-agent', node: at, isOnline })),
  fc.tuple(node, fc.nat({ max: 4 })).map(([at, changes]): Step => ({ do: 'day-away', node: at, changes })),
  fc
    .tuple(node, kind, fc.integer({ min: 1, max: 3 }))
    .map(([at, of, times]): Step => ({ do: 'source-fails', node: at, kind: of, times })),
  fc.boolean().map((isSent): Step => ({ do: 'wipe-bus', isSent })),
  fc.boolean().map((isAway): Step => ({ do: 'controller-away', isAway })),
  kill,
  fc
    .tuple(node, fates<PublishFate>('request-lost', 'answer-lost', 'doubled', 'late'))
    .map(([at, list]): Step => ({ do: 'publish-fates', node: at, fates: list })),
  fates<DeliveryFate>('lost', 'doubled', 'late', 'behind-the-next').map(
    (list): Step => ({ do: 'delivery-fates', fates: list }),
  ),
  fc.integer({ min: 1, max: 3 }).map((times): Step => ({ do: 'repairs-fail', times })),
  clockStep,
);

/** Everything that may go wrong. */
export const anyScript: fc.Arbitrary<Script> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: change(
        fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      ),
    },
    { weight: 3, arbitrary: wait },
    { weight: 5, arbitrary: anyFault },
  ),
  { minLength: 1, maxLength: 30 },
);

const harmless: fc.Arbitrary<Step> = fc.oneof(
  kill,
  cleanRestart,
  fc
    .tuple(node, fates<PublishFate>('answer-lost', 'doubled'))
    .map(([at, list]): Step => ({ do: 'publish-fates', node: at, fates: list })),
  fates<DeliveryFate>('doubled', 'behind-the-next').map((list): Step => ({ do: 'delivery-fates', fates: list })),
  clockStep,
);

/** Faults after which nothing may be missing, as long as each change was sent before the next came. */
export const harmlessScript: fc.Arbitrary<Script> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: change(fc.constant(true)) },
    { weight: 2, arbitrary: harmless },
    { weight: 1, arbitrary: wait },
  ),
  { minLength: 1, maxLength: 24 },
);

/** One line per step, to be read and to be copied into a test. */
export function showScript(script: Script): string {
  return script.map((step) => `  ${JSON.stringify(step)},`).join('\n');
}
