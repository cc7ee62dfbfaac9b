/** Second part of the composition: bus, nodes, inventory. */
import { NodeServiceClient } from '@pxmgr/contract/agent';
import type { RevokeNodeResponse } from '@pxmgr/contract/controller';
import { splitAddress } from '@pxmgr/kit/rpc/address';
import { Bus } from './bus/bus.ts';
import { InventoryConsumer } from './bus/consume.ts';
import { listenLive } from './bus/listen.ts';
import { describeChange } from './change/record.ts';
import type { Config } from './config.ts';
import { Dialer } from './fleet/dial.ts';
import { Registry } from './fleet/registry.ts';
import { GapTracker } from './inventory/gaps.ts';
import { Ingest } from './inventory/ingest.ts';
import { loadView } from './inventory/load.ts';
import { MetricsBoard } from './inventory/metrics.ts';
import { Repair } from './inventory/repair.ts';
import { View } from './inventory/view.ts';
import { ObjectWriter } from './inventory/write-object.ts';
import type { ObjectStore } from './store/objects.ts';
import type { ControllerDeps } from './wire-deps.ts';
import { busFolder, type State } from './wire-state.ts';

const REPAIR_READ_MS = 30_000;

/** Everything that knows nodes. Made stopped; `start` connects it. */
export interface Fleet {
  readonly bus: Bus;
  readonly registry: Registry;
  readonly dialer: Dialer;
  readonly view: View;
  readonly repair: Repair;
  readonly clockSkewMs: (nodeUid: string) => number | undefined;
  /** Inventory messages stored since the start. */
  committed(): number;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Cuts a node off and forgets what it said; `cut` ends its calls. Errors: PXM_NODE_NOT_FOUND. */
  revoke(node: string, cut: () => void): Promise<RevokeNodeResponse>;
  /** Tells the bus what it was not told yet; for a loop. */
  settleRevocations(): Promise<void>;
}

export function buildFleet(deps: ControllerDeps, state: State): Fleet {
  const { clock, logger } = deps;
  const { stores, pki, controllerCertificate } = state;
  const registry = new Registry(stores.nodes, clock, logger);
  const metrics = new MetricsBoard();
  const view = new View(registry, metrics, stores.objects);
  const dialer = new Dialer({
    registry,
    tls: { ca: pki.caCertificate, cert: controllerCertificate.certificate, key: controllerCertificate.privateKey },
    clock,
  });
  const bus = new Bus({
    runner: deps.runner,
    clock,
    logger,
    folder: busFolder(deps.config),
    revocations: () => revocationsOf(registry),
    ...busSource(deps.config, state),
  });
  const gaps = new GapTracker();
  const nameOf = (uid: string): string | undefined => registry.nameOf(uid);
  const writer = new ObjectWriter({
    objects: stores.objects,
    changes: stores.changes,
    describe: describeChange,
    nameOf,
  });
  const ingest = new Ingest({ database: state.database, ...stores, writer, gaps, view, clock, logger, nameOf });
  const repair = new Repair({
    database: state.database,
    objects: stores.objects,
    writer,
    ingest,
    gaps,
    view,
    sources: repairSources(bus, dialer),
    clock,
    logger,
    isMember: (uid) => registry.isMember(uid),
  });
  const skew = new Map<string, number>();
  const members = { registry, metrics, view, gaps, repair, skew };
  return {
    bus,
    registry,
    dialer,
    view,
    repair,
    clockSkewMs: (uid) => skew.get(uid),
    ...connection(deps, { ...members, bus, ingest, objects: stores.objects }),
    ...departures(deps, state, { ...members, bus, dialer }),
  };
}

interface Members {
  readonly registry: Registry;
  readonly metrics: MetricsBoard;
  readonly view: View;
  readonly gaps: GapTracker;
  readonly repair: Repair;
  readonly skew: Map<string, number>;
  readonly bus: Bus;
}

function connection(
  deps: ControllerDeps,
  parts: Members & { ingest: Ingest; objects: ObjectStore },
): Pick<Fleet, 'start' | 'stop' | 'committed'> {
  const { clock, logger } = deps;
  const { bus, registry, metrics, repair, skew, view, objects } = parts;
  let consumer: InventoryConsumer | undefined;
  let unlisten: () => void = () => undefined;
  return {
    committed: () => consumer?.committed ?? 0,
    start: async () => {
      const uids = registry.list().map((node) => node.uid);
      // Both take a moment, and neither needs the other; where one fails the other must have ended before it is stopped.
      const begun = await Promise.allSettled([bus.start(), loadView(view, objects, uids)]);
      for (const part of begun) if (part.status === 'rejected') throw part.reason;
      unlisten = listenLive(
        bus.connection,
        {
          heartbeat: (uid, { generation, agentAddress, agentVersion, at }) => {
            registry.hear(uid, { generation, address: agentAddress, agentVersion });
            if (at !== undefined) skew.set(uid, at.getTime() - clock.now().getTime());
          },
          metrics: (uid, message) => {
            if (registry.isMember(uid)) metrics.put(uid, message, clock.now());
          },
          manifest: (uid, message) => {
            repair.takeManifest(uid, message);
          },
        },
        logger,
      );
      consumer = new InventoryConsumer({ connection: bus.connection, sink: parts.ingest, clock, logger });
      consumer.start();
    },
    stop: async () => {
      unlisten();
      await consumer?.stop();
      await repair.settle();
      await bus.stop();
    },
  };
}

function departures(
  deps: ControllerDeps,
  state: State,
  parts: Members & { dialer: Dialer },
): Pick<Fleet, 'revoke' | 'settleRevocations'> {
  const { registry, view, gaps, repair, metrics, skew, bus, dialer } = parts;
  const untold = new Set<string>();
  const settleRevocations = async (): Promise<void> => {
    if (untold.size === 0) return;
    const uids = [...untold];
    await bus.applyRevocations();
    for (const uid of uids) {
      await bus.purge(`px.inv.${uid}.>`);
      await bus.purge(`px.man.${uid}`);
      untold.delete(uid);
    }
  };
  const forget = (uid: string): void => {
    view.forget(uid);
    gaps.forget(uid);
    repair.forget(uid);
    metrics.forget(uid);
    skew.delete(uid);
    state.database.transaction(() => {
      state.stores.objects.forgetNode(uid);
    });
  };
  return {
    settleRevocations,
    revoke: async (key, cut) => {
      const { uid, name } = registry.get(key);
      // While the node is still a member its objects carry its name.
      forget(uid);
      registry.revoke(uid);
      untold.add(uid);
      dialer.hangUp(uid);
      cut();
      await settleRevocations().catch((error: unknown) => {
        deps.logger.error(
          { err: error, node: name },
          'the message bus could not be told of a revocation yet; it is tried again',
        );
      });
      return { uid, name };
    },
  };
}

function revocationsOf(registry: Registry): Record<string, number> {
  // Void is what was issued up to this second; the same key never joins again.
  return Object.fromEntries(
    registry.revokedKeys().map(({ natsPublicKey, at }) => [natsPublicKey, Math.floor(at.getTime() / 1000) + 1]),
  );
}

function repairSources(bus: Bus, dialer: Dialer): ConstructorParameters<typeof Repair>[0]['sources'] {
  return {
    readSubjects: async (uid) => await bus.readNodeSubjects(uid),
    resync: async (uid, kinds) => {
      await bus.askResync(uid, kinds);
    },
    readInventory: async (uid, kinds) =>
      await dialer.reach(
        uid,
        async (channel) =>
          await channel.call(
            channel.client(NodeServiceClient),
            'getInventory',
            { kinds: [...kinds] },
            { deadlineMs: REPAIR_READ_MS },
          ),
      ),
  };
}

function busSource(
  config: Config,
  state: State,
): Pick<ConstructorParameters<typeof Bus>[0], 'supervised' | 'external'> {
  const { pki, names, busCertificate, externalBusCa } = state;
  if (config.nats_url !== '')
    return { external: { url: config.nats_url, ca: externalBusCa ?? pki.caCertificate, keys: config.nats_keys ?? '' } };
  const tls = { certificate: busCertificate.certificate, key: busCertificate.privateKey, ca: pki.caCertificate };
  return {
    supervised: {
      program: config.nats_server_path,
      listen: splitAddress(config.nats_listen),
      tls,
      advertise: names[0] ?? '127.0.0.1',
    },
  };
}
