/** Empties the outbox into JetStream and sends manifests while it is empty. */
import type { JetStreamClient } from '@nats-io/jetstream';
import type { Position } from '@pxmgr/contract';
import { dedupId, hashManifest, INVENTORY_STREAM, inventorySubject, limits, manifestSubject } from '@pxmgr/contract';
import { InventoryMessage, ManifestMessage } from '@pxmgr/contract/event';
import type { Clock } from '@pxmgr/kit/clock';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { InventoryFeed } from './changes.ts';
import type { Outbox, OutboxSlot } from './outbox.ts';
import type { View } from './view.ts';

/** The bus as far as a publisher needs it. */
interface Outlet {
  readonly jetstream: Pick<JetStreamClient, 'publish'>;
}

export interface PublisherParts {
  /** `current` is undefined while there is no connection. */
  readonly bus: { readonly current: Outlet | undefined };
  readonly outbox: Outbox;
  readonly view: View;
  readonly feed: InventoryFeed;
  readonly nodeUid: string;
  readonly nodeName: string;
  readonly generation: bigint;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Messages on the wire at once. */
const BATCH = 256;
const ACK_LIMIT_MS = 5_000;
const IDLE_WAIT_MS = 1_000;
const OFFLINE_WAIT_MS = 100;
const MAX_BACKOFF_MS = 10_000;

export class Publisher {
  readonly #parts: PublisherParts;
  #revision = 0n;
  #backoffMs = 0;
  #manifestDueMs: number | undefined;
  #wake = new AbortController();
  #again = new AbortController();

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    parts.outbox.onItems(() => {
      this.#wake.abort();
    });
  }

  /** Highest position that was given out. */
  get position(): Position {
    return { generation: this.#parts.generation, revision: this.#revision };
  }

  /** Sends a manifest as soon as everything before it is out. */
  requestManifest(): void {
    this.#manifestDueMs = 0;
    this.#wake.abort();
  }

  /** The bus is there again: what it refused before says nothing about now. */
  resume(): void {
    this.#backoffMs = 0;
    this.#again.abort();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#again.signal.aborted) this.#again = new AbortController();
      const { waitMs, forNews } = await this.step();
      if (waitMs === 0) continue;
      const wakes = [signal, this.#again.signal, ...(forNews ? [this.#wake.signal] : [])];
      await this.#parts.clock.sleep(waitMs, AbortSignal.any(wakes)).catch(() => undefined);
    }
  }

  /**
   * Does what can be done now; tells how long to rest, and whether news end the rest: the connection and the manifest
   * timer are looked at each time.
   */
  async step(): Promise<{ readonly waitMs: number; readonly forNews: boolean }> {
    const bus = this.#parts.bus.current;
    if (bus === undefined) return { waitMs: Math.max(this.#backoffMs, OFFLINE_WAIT_MS), forNews: false };
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
    await this.#pump(bus);
    if (this.#backoffMs > 0) return { waitMs: this.#backoffMs, forNews: false };
    return { waitMs: this.#parts.outbox.size > 0 ? 0 : IDLE_WAIT_MS, forNews: true };
  }

  /** One batch or one manifest. */
  async #pump(bus: Outlet): Promise<void> {
    const { outbox, feed } = this.#parts;
    if (outbox.size === 0 && outbox.takeOverflow()) feed.resync();
    if (outbox.size > 0) await this.#sendBatch(bus);
    else if (this.#isManifestDue()) await this.#sendManifest(bus);
  }

  #nextPosition = (unsent = 0n): Position => {
    this.#revision += unsent + 1n;
    return this.position;
  };

  /** What failed stays queued and keeps its position. */
  async #sendBatch(bus: Outlet): Promise<void> {
    const batch = this.#parts.outbox.take(BATCH, this.#nextPosition);
    const results = await Promise.allSettled(batch.map((slot) => this.#send(bus, slot)));
    const sent = batch.filter((_slot, index) => results[index]?.status === 'fulfilled');
    for (const slot of sent) if (slot.position !== undefined) this.#parts.view.published(slot, slot.position);
    this.#parts.outbox.confirm(sent);
    const failure = results.find((result) => result.status === 'rejected');
    if (failure === undefined) {
      this.#backoffMs = 0;
      return;
    }
    this.#backoffMs = Math.min(Math.max(this.#backoffMs * 2, 250), MAX_BACKOFF_MS);
    this.#parts.logger.warn(
      { err: failure.reason, waiting: this.#parts.outbox.size },
      'inventory messages were not accepted',
    );
  }

  async #send(bus: Outlet, slot: OutboxSlot): Promise<void> {
    const { nodeUid, nodeName, logger } = this.#parts;
    const position = slot.position ?? this.#nextPosition();
    const { kind, id, document, hash, observedAt, cause, resync } = slot;
    const deleted = document === undefined;
    const bytes = InventoryMessage.encode({
      ...position,
      observedAt,
      kind,
      id,
      nodeName,
      deleted,
      hash,
      document,
      cause,
      resync,
    }).finish();
    if (bytes.length > limits.EVENT_MAX_BYTES) {
      // Sending it again would fail for ever; its kind stays repairable through the agent's own service.
      logger.error({ kind, id, bytes: bytes.length }, 'object is too large for the message bus and was left out');
      return;
    }
    const subject = inventorySubject(nodeUid, kind, id);
    await bus.jetstream.publish(subject, bytes, {
      msgID: dedupId(nodeUid, position),
      timeout: ACK_LIMIT_MS,
      expect: { streamName: INVENTORY_STREAM },
    });
  }

  #isManifestDue(): boolean {
    // Nothing to compare before the first full publication.
    return this.#revision > 0n && this.#parts.clock.monotonicMs() >= (this.#manifestDueMs ?? 0);
  }

  async #sendManifest(bus: Outlet): Promise<void> {
    const { view, feed, nodeUid, clock, logger } = this.#parts;
    const kinds = feed.knownKinds().map((kind) => {
      const entries = view.manifestOf(kind);
      return { kind, count: entries.length, hash: hashManifest(entries) };
    });
    const bytes = ManifestMessage.encode({ ...this.position, at: clock.now(), kinds }).finish();
    try {
      await bus.jetstream.publish(manifestSubject(nodeUid), bytes, {
        timeout: ACK_LIMIT_MS,
        expect: { streamName: INVENTORY_STREAM },
      });
      const jitter = 0.8 + 0.4 * Math.random();
      this.#manifestDueMs = clock.monotonicMs() + limits.MANIFEST_SECONDS * 1000 * jitter;
    } catch (error) {
      this.#backoffMs = Math.min(Math.max(this.#backoffMs * 2, 250), MAX_BACKOFF_MS);
      logger.warn({ err: error }, 'manifest was not accepted');
      return;
    }
    this.#backoffMs = 0;
  }
}
