import {
  AckPolicy,
  type ConsumerInfo,
  DeliverPolicy,
  DiscardPolicy,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { EVENT_STREAM, INVENTORY_CONSUMER, INVENTORY_FILTER, INVENTORY_STREAM } from '@pxmgr/contract';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { type NatsConnection, nanos } from 'nats';

const DAY_MS = 86_400_000;

type Wanted = Pick<
  StreamConfig,
  | 'name'
  | 'subjects'
  | 'storage'
  | 'retention'
  | 'discard'
  | 'max_msgs_per_subject'
  | 'max_age'
  | 'max_bytes'
  | 'duplicate_window'
  | 'allow_direct'
>;

/** Last state of every object: one message per subject, for ever. */
const INVENTORY: Wanted = {
  name: INVENTORY_STREAM,
  subjects: ['px.inv.>', 'px.man.*'],
  storage: StorageType.File,
  retention: RetentionPolicy.Limits,
  discard: DiscardPolicy.Old,
  max_msgs_per_subject: 1,
  max_age: 0,
  max_bytes: -1,
  duplicate_window: nanos(120_000),
  allow_direct: true,
};

/** Things that happened, for a week. */
const EVENTS: Wanted = {
  name: EVENT_STREAM,
  subjects: ['px.ev.>'],
  storage: StorageType.File,
  retention: RetentionPolicy.Limits,
  discard: DiscardPolicy.Old,
  max_msgs_per_subject: -1,
  max_age: nanos(7 * DAY_MS),
  max_bytes: 512 * 1024 * 1024,
  duplicate_window: nanos(120_000),
  allow_direct: true,
};

/** Makes or updates our streams. Idempotent. Errors: PXM_NATS_DOWN when the server dropped a setting silently. */
export async function ensureStreams(connection: NatsConnection): Promise<StreamInfo> {
  const manager = await jetstreamManager(connection, { timeout: 10_000 });
  const url = connection.getServer();
  await ensureStream(manager, url, EVENTS);
  return await ensureStream(manager, url, INVENTORY);
}

async function ensureStream(manager: JetStreamManager, url: string, wanted: Wanted): Promise<StreamInfo> {
  const found = await infoOrUndefined(manager, wanted.name);
  if (found !== undefined && differences(wanted, found.config).length === 0) return found;
  const info =
    found === undefined
      ? await manager.streams.add({ ...wanted })
      : await manager.streams.update(wanted.name, { ...wanted });
  const lost = differences(wanted, info.config);
  if (lost.length > 0) {
    throw new PxmError(
      'PXM_NATS_DOWN',
      { url },
      {
        detail: `stream ${wanted.name} came back without ${lost.join(', ')}: the server is too old or another one made the stream`,
      },
    );
  }
  return info;
}

/** Old servers accept unknown settings and forget them; what they echo is the truth. */
function differences(wanted: Wanted, found: Partial<StreamConfig>): string[] {
  return Object.entries(wanted)
    .filter(([name, value]) => JSON.stringify(found[name as keyof Wanted] ?? defaultOf(name)) !== JSON.stringify(value))
    .map(([name]) => name);
}

function defaultOf(name: string): unknown {
  return name === 'allow_direct' ? false : 0;
}

async function infoOrUndefined(manager: JetStreamManager, stream: string): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(stream);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** JetStream's "not found" for a stream or consumer (nats-io/nats-server server/errors.json: 10059, 10014). */
export function isMissing(error: unknown): boolean {
  return (
    error instanceof Error &&
    (/stream not found|consumer not found/i.test(error.message) ||
      error.name === 'StreamNotFoundError' ||
      error.name === 'ConsumerNotFoundError')
  );
}

/** The consumer of the inventory, made anew: delivers what came after the sequence, or the last of every object. */
export async function ensureConsumer(manager: JetStreamManager, after: number | undefined): Promise<ConsumerInfo> {
  await manager.consumers.delete(INVENTORY_STREAM, INVENTORY_CONSUMER).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
  return await manager.consumers.add(INVENTORY_STREAM, {
    durable_name: INVENTORY_CONSUMER,
    filter_subject: INVENTORY_FILTER,
    ack_policy: AckPolicy.All,
    ...(after === undefined
      ? { deliver_policy: DeliverPolicy.LastPerSubject }
      : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: after + 1 }),
    max_ack_pending: 20_000,
    ack_wait: nanos(30_000),
  });
}
