/** For tests: a whole controller on a folder and free ports, and agents that join it as real ones do. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { createUser, type KeyPair } from '@nats-io/nkeys';
import { CONTRACT_VERSION, heartbeatSubject, inboxPrefix, manifestSubject, parseJoinToken } from '@pxmgr/contract';
import {
  AccessServiceClient,
  type AuditEntry,
  FleetServiceClient,
  type JoinNodeRequest,
  type JoinNodeResponse,
  JoinServiceClient,
  type ListAuditRequest,
} from '@pxmgr/contract/controller';
import { HeartbeatMessage, ManifestMessage } from '@pxmgr/contract/event';
import { type Clock, createIdSource, systemClock } from '@pxmgr/kit/clock';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { createCsr } from '@pxmgr/kit/pki/csr';
import { type Channel, createChannel } from '@pxmgr/kit/rpc/channel';
import type { Role } from '@pxmgr/kit/rpc/identity';
import { fetchCaCertificate } from '@pxmgr/kit/rpc/probe';
import type { TlsMaterial } from '@pxmgr/kit/rpc/tls';
import { connect, jwtAuthenticator, type NatsConnection } from 'nats';
import type { BusMessage } from './bus/consume.ts';
import { loadControllerConfig } from './config.ts';
import { FakeAgent } from './inventory/inventory.fixture.ts';
import { Controller } from './wire.ts';

export interface TestController {
  readonly controller: Controller;
  readonly folder: string;
  /** Root over the UNIX socket. */
  readonly root: Channel;
  operator(name: string, role: Role): Promise<Channel>;
  /** What `pxmgr audit list` shows, newest first. */
  audit(more?: Partial<ListAuditRequest>): Promise<AuditEntry[]>;
  joinedAgent(name: string): Promise<JoinedAgent>;
  token(nodeName?: string): Promise<string>;
  /** Stops it and starts another one on the same folder and ports. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface JoinedAgent {
  readonly uid: string;
  readonly identity: JoinNodeResponse;
  readonly tls: TlsMaterial;
  readonly user: KeyPair;
  readonly talk: FakeAgent;
  connect(): Promise<NatsConnection>;
  beat(connection: NatsConnection, address?: string): void;
  publish(connection: NatsConnection, ...messages: BusMessage[]): Promise<void>;
  manifest(connection: NatsConnection): void;
}

interface Ports {
  readonly grpc: number;
  readonly join: number;
  readonly nats: number;
}

/** The machine's clock, set wrong by some days; a jump wakes whoever sleeps, as the end of the wait would. */
export class JumpingClock implements Clock {
  #offsetMs: number;
  #sleepers = new AbortController();

  constructor(offsetMs: number) {
    this.#offsetMs = offsetMs;
  }

  now(): Date {
    return new Date(Date.now() + this.#offsetMs);
  }

  monotonicMs(): number {
    return systemClock.monotonicMs();
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const woken = this.#sleepers.signal;
    await systemClock
      .sleep(ms, signal === undefined ? woken : AbortSignal.any([signal, woken]))
      .catch((error: unknown) => {
        if (signal?.aborted === true) throw error;
      });
  }

  jumpTo(offsetMs: number): void {
    this.#offsetMs = offsetMs;
    const before = this.#sleepers;
    this.#sleepers = new AbortController();
    before.abort();
  }
}

function make(folder: string, ports: Ports, clock: Clock): Controller {
  const at = (port: number): string => `127.0.0.1:${String(port)}`;
  const flags = {
    'state-dir': join(folder, 'state'),
    listen: at(ports.grpc),
    'join-listen': at(ports.join),
    'nats-listen': at(ports.nats),
    'unix-socket': join(folder, 'controller.sock'),
  };
  const config = loadControllerConfig({ file: undefined, env: {}, flags }).values;
  const runner = createRunner({ path: config.path, logger: silentLogger() });
  return new Controller({ config, clock, ids: createIdSource(), runner, logger: silentLogger() });
}

export async function startTestController(clock: Clock = systemClock): Promise<TestController> {
  const folder = await mkdtemp(join(tmpdir(), 'pxmgr-controller-'));
  const channels: Channel[] = [];
  const connections: NatsConnection[] = [];
  let controller = make(folder, { grpc: 0, join: 0, nats: 0 }, clock);
  await controller.start();
  const keep = (channel: Channel): Channel => {
    channels.push(channel);
    return channel;
  };
  const root = keep(
    createChannel({ address: `unix:${join(folder, 'controller.sock')}`, unreachable: 'PXM_CONTROLLER_UNREACHABLE' }),
  );
  const token = async (nodeName = ''): Promise<string> =>
    (await root.call(root.client(FleetServiceClient), 'createToken', { nodeName, ttlSeconds: 0 })).token;
  return {
    get controller() {
      return controller;
    },
    folder,
    root,
    token,
    operator: async (name, role) => {
      const { request: certificateRequest, privateKey } = await createCsr({ commonName: name });
      const made = await root.call(root.client(AccessServiceClient), 'createOperator', {
        name,
        role,
        certificateRequest,
      });
      return keep(
        createChannel({
          address: `127.0.0.1:${String(controller.grpcPort)}`,
          tls: { ca: made.caCertificate, cert: made.certificate, key: privateKey },
          peer: { kind: 'controller' },
        }),
      );
    },
    audit: async (more = {}) => {
      const request = {
        identity: '',
        refusedOnly: false,
        since: undefined,
        until: undefined,
        limit: 1000,
        beforeId: 0n,
      };
      return (await root.call(root.client(AccessServiceClient), 'listAudit', { ...request, ...more })).entries;
    },
    joinedAgent: async (name) => await joinAgent(await token(name), name, connections),
    restart: async () => {
      const { grpcPort: grpc, joinPort, natsPort: nats } = controller;
      await controller.stop();
      controller = make(folder, { grpc, join: joinPort, nats }, clock);
      await controller.start();
    },
    close: async () => {
      for (const channel of channels) channel.close();
      await Promise.all(connections.map(async (connection) => await connection.close()));
      await controller.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The join call as an agent makes it: CA by fingerprint, keys made locally. */
export async function callJoin(
  token: string,
  part: Partial<JoinNodeRequest> = {},
): Promise<{ response: JoinNodeResponse; user: KeyPair; key: string }> {
  const parsed = parseJoinToken(token);
  if (parsed === undefined) throw new Error('not a token');
  const ca = await fetchCaCertificate(parsed.address, parsed.caFingerprint);
  const user = createUser();
  const csr = await createCsr({ commonName: 'whatever the agent likes' });
  const channel = createChannel({
    address: parsed.address,
    tls: { ca },
    peer: { kind: 'controller' },
    unreachable: 'PXM_CONTROLLER_UNREACHABLE',
  });
  try {
    const request = {
      secret: parsed.secret,
      nodeName: 'pve1',
      certificateRequest: csr.request,
      natsPublicKey: user.getPublicKey(),
      agentAddress: '127.0.0.1:7450',
      agentVersion: '0.1.0',
      contractVersion: CONTRACT_VERSION,
      ...part,
    };
    return {
      response: await channel.call(channel.client(JoinServiceClient), 'joinNode', request),
      user,
      key: csr.privateKey,
    };
  } finally {
    channel.close();
  }
}

async function joinAgent(token: string, name: string, connections: NatsConnection[]): Promise<JoinedAgent> {
  const { response, user, key } = await callJoin(token, { nodeName: name });
  const talk = new FakeAgent(response.nodeUid, name);
  return {
    uid: response.nodeUid,
    identity: response,
    tls: { ca: response.caCertificate, cert: response.certificate, key },
    user,
    talk,
    connect: async () => {
      const connection = await connect({
        servers: response.natsUrl,
        tls: { ca: response.caCertificate },
        authenticator: jwtAuthenticator(response.natsJwt, user.getSeed()),
        inboxPrefix: inboxPrefix(response.nodeUid),
        reconnect: false,
        timeout: 5000,
      });
      connections.push(connection);
      return connection;
    },
    beat: (connection, address = '') => {
      const message = HeartbeatMessage.create({
        generation: talk.generation,
        revision: talk.revision,
        at: new Date(),
        nodeName: name,
        agentVersion: '0.1.0',
        agentAddress: address,
      });
      connection.publish(heartbeatSubject(response.nodeUid), HeartbeatMessage.encode(message).finish());
    },
    publish: async (connection, ...messages) => {
      for (const message of messages) await jetstream(connection).publish(message.subject, message.data);
    },
    manifest: (connection) => {
      connection.publish(manifestSubject(response.nodeUid), ManifestMessage.encode(talk.manifest()).finish());
    },
  };
}
