/** For tests: a store in a folder, and bodies that a test opens and closes. */
import type { Operation, OperationEvent, Order } from '@pxmgr/contract/common';
import { type Clock, createIdSource, systemClock } from '@pxmgr/kit/clock';
import type { Runner } from '@pxmgr/kit/exec/command';
import { OperationStore, type OperationStoreParts } from './operation-store.ts';
import { OperationQueue } from './queue.ts';
import type { OperationBody, OperationRequest } from './request.ts';

export interface StorePlace extends Pick<OperationStoreParts, 'rules' | 'cluster' | 'onJournalFailure'> {
  readonly clock?: Clock;
  readonly directory: string;
  readonly runner: Runner;
  readonly onDamage?: (path: string) => void;
}

export function newStore({ directory, runner, ...more }: StorePlace, keep = 500): OperationStore {
  const queue = new OperationQueue({ running: 2, waiting: 2, node: 'pve1' });
  return new OperationStore({
    directory,
    clock: systemClock,
    ids: createIdSource(),
    runner,
    queue,
    node: { uid: 'n-1', name: 'pve1' },
    keep,
    ...more,
  });
}

export function orderOf(idempotencyKey: string): Order {
  return {
    idempotencyKey,
    planId: 'pl-1',
    planGeneration: 1n,
    fencingToken: 1n,
    actor: 'operator:anna',
    dryRun: false,
  };
}

export function request(change: Partial<OperationRequest> = {}): OperationRequest {
  return { kind: 'test.kind', title: 'a test', keys: ['k'], params: { a: 1 }, ...change };
}

export async function runOne(
  store: OperationStore,
  body: OperationBody,
  change: Partial<OperationRequest> = {},
): Promise<Operation> {
  const { id } = await store.start(request(change), body);
  return await store.settled(id);
}

export async function eventsOf(store: OperationStore, id: string, after = 0n): Promise<OperationEvent[]> {
  const events: OperationEvent[] = [];
  for await (const event of store.watch(id, after)) events.push(event);
  return events;
}

export const idle: OperationBody = () => Promise.resolve();

/** A body that begins and then waits for the test. */
export function gate(): { body: OperationBody; begun: Promise<void>; open: () => void } {
  let begin: () => void = () => undefined;
  let open: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    begun,
    open,
    body: async (work) => {
      begin();
      await Promise.race([
        opened,
        new Promise((_, reject) => {
          work.signal.addEventListener('abort', () => {
            reject(work.signal.reason as Error);
          });
        }),
      ]);
    },
  };
}
