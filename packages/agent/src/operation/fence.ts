import { readFile, rename } from 'node:fs/promises';
import type { Order } from '@pxmgr/contract/common';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import { KeyedMutex } from '@pxmgr/kit/sync/keyed-mutex';
import * as z from 'zod';
import { isAbsent } from '../host/paths.ts';

const Seen = z.object({ token: z.string(), generation: z.string() });
const Stored = z.record(z.string(), Seen);

/** Guests remembered; the oldest entries go first. Far above what one node can hold. */
const MAX_ENTRIES = 4096;

/**
 * Refuses orders that a newer one has overtaken: a controller that was cut off, or a plan replaced by another. Tokens
 * grow with each reservation on the node, so orders are compared per resource (two plans for two guests of one node
 * are both current); equal tokens are compared by the plan's generation. Survives restarts.
 */
export class Fence {
  readonly #path: string;
  readonly #node: string;
  readonly #onDamage: (path: string, error: unknown) => void;
  readonly #turn = new KeyedMutex();
  #seen: Map<string, z.infer<typeof Seen>> | undefined;

  constructor(path: string, node: string, onDamage: (path: string, error: unknown) => void = () => undefined) {
    this.#path = path;
    this.#node = node;
    this.#onDamage = onDamage;
  }

  /**
   * Remembers the order as the newest for `resource` ("vmid:101"), or throws PXM_GENERATION_OLD. Token 0 is not fenced.
   * What cannot be written down is not remembered: PXM_DISK_FULL, PXM_DISK_FAILED.
   */
  async check(resource: string, order: Order | undefined): Promise<void> {
    if (order === undefined || order.fencingToken === 0n) return;
    await this.#turn.run('file', () => this.#check(resource, order));
  }

  async #check(resource: string, order: Order): Promise<void> {
    const seen = await this.#load();
    const last = seen.get(resource) ?? { token: '0', generation: '0' };
    const { fencingToken: token, planGeneration: generation } = order;
    const age = compareOrders(
      { token, generation },
      { token: BigInt(last.token), generation: BigInt(last.generation) },
    );
    if (age === 0) return;
    if (age < 0) {
      throw new PxmError('PXM_GENERATION_OLD', {
        node: this.#node,
        seen: `${last.generation} (token ${last.token})`,
        generation: `${generation} (token ${token})`,
      });
    }
    const next = new Map(seen);
    next.delete(resource);
    next.set(resource, { token: String(token), generation: String(generation) });
    const oldest = next.keys().next();
    if (next.size > MAX_ENTRIES && oldest.done !== true) next.delete(oldest.value);
    await writeFileAtomic(this.#path, `${JSON.stringify(Object.fromEntries(next))}\n`, { mode: 0o600 });
    this.#seen = next;
  }

  async #load(): Promise<Map<string, z.infer<typeof Seen>>> {
    if (this.#seen !== undefined) return this.#seen;
    this.#seen = await this.#read();
    return this.#seen;
  }

  /**
   * A damaged file is put aside: without it an order is only taken that a controller sent before it was overtaken and
   * that arrives now, and with it no order at all.
   */
  async #read(): Promise<Map<string, z.infer<typeof Seen>>> {
    try {
      return new Map(Object.entries(Stored.parse(JSON.parse(await readFile(this.#path, 'utf8')))));
    } catch (error) {
      if (isAbsent(error)) return new Map();
      if (!(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw error;
      await rename(this.#path, `${this.#path}.damaged`);
      this.#onDamage(`${this.#path}.damaged`, error);
      return new Map();
    }
  }
}

interface Age {
  readonly token: bigint;
  readonly generation: bigint;
}

/** Negative when a is older than b. */
function compareOrders(a: Age, b: Age): number {
  const [left, right] = a.token === b.token ? [a.generation, b.generation] : [a.token, b.token];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
