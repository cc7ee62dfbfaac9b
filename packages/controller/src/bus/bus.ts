import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { INVENTORY_CONSUMER, INVENTORY_STREAM, resyncSubject } from '@pxmgr/contract';
import { ResyncInventoryRequest } from '@pxmgr/contract/agent';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { systemCode, toPxmError } from '@pxmgr/kit/error/to-problem';
import type { Runner } from '@pxmgr/kit/exec/command';
import { writeFileAtomic } from '@pxmgr/kit/fs/atomic';
import type { Logger } from '@pxmgr/kit/log/logger';
import type { NatsConnection } from 'nats';
import { connectBus } from './connect.ts';
import { type BusMessage, readNodeSubjects } from './consume.ts';
import {
  agentUserJwt,
  controllerUserJwt,
  fleetAccountJwt,
  isUserPublicKey,
  operatorJwt,
  type Revocations,
  systemAccountJwt,
} from './jwt.ts';
import { type BusKeys, createBusKeys, parseBusKeys, readBusKeys, renderBusKeys } from './keys.ts';
import { Revoker } from './revoke.ts';
import { NatsServer } from './server.ts';
import { StoreHealth } from './store-health.ts';

export interface BusOptions {
  readonly runner: Runner;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Folder for keys and the supervised server. */
  readonly folder: string;
  readonly revocations: () => Revocations;
  /** Either the server is ours ... */
  readonly supervised?: {
    readonly program: string;
    readonly listen: { readonly host: string; readonly port: number };
    readonly tls: { readonly certificate: string; readonly key: string; readonly ca: string };
    /** Host that agents reach it by. */
    readonly advertise: string;
  };
  /** ... or somebody else's, with the keys to sign users for it. */
  readonly external?: { readonly url: string; readonly ca: string; readonly keys: string };
}

/** What is worth telling about the bus. */
export interface BusStatus {
  readonly url: string;
  readonly isConnected: boolean;
  /** Why it did not answer when it was last asked. */
  readonly failure: PxmError | undefined;
  readonly isSupervised: boolean;
  readonly restarts: number;
}

/** The message bus as the rest of the controller sees it: connected, with identities to give and to take. */
export class Bus {
  readonly #options: BusOptions;
  #keys: BusKeys | undefined;
  #server: NatsServer | undefined;
  #connection: NatsConnection | undefined;
  /** Of the last time it was asked: a server that stands still keeps its connections. */
  #failure: PxmError | undefined;
  /** Of a server that is ours. */
  #storeHealth: StoreHealth | undefined;
  #storeFailure: PxmError | undefined;

  constructor(options: BusOptions) {
    this.#options = options;
  }

  /** Errors: PXM_NATS_START_FAILED, PXM_COMMAND_NOT_FOUND, PXM_NATS_DOWN. */
  async start(): Promise<void> {
    const { external, folder } = this.#options;
    const keys = external === undefined ? await openKeys(folder) : parseBusKeys(external.keys);
    this.#keys = keys;
    if (external === undefined) this.#server = await this.#startServer(keys);
    const user = { name: 'controller', jwt: await controllerUserJwt(keys), keys: keys.controllerUser };
    try {
      this.#connection = await connectBus(this.#address(), user, this.#options.logger);
    } catch (error) {
      await this.#server?.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#connection?.close();
    await this.#server?.stop();
  }

  get connection(): NatsConnection {
    if (this.#connection === undefined) throw new Error('the bus has not been started');
    return this.#connection;
  }

  /** Address for agents. */
  get url(): string {
    const { external, supervised } = this.#options;
    return external?.url ?? `tls://${hostInUrl(supervised?.advertise ?? '')}:${String(this.#server?.port ?? 0)}`;
  }

  /** Port of the supervised server; 0 for somebody else's. */
  get port(): number {
    return this.#server?.port ?? 0;
  }

  status(): BusStatus {
    const connection = this.#connection;
    return {
      url: this.url,
      isConnected:
        this.#failure === undefined &&
        connection !== undefined &&
        !connection.isClosed() &&
        connection.getServer() !== '',
      failure: this.#failure ?? this.#storeFailure,
      isSupervised: this.#server !== undefined,
      restarts: this.#server?.restarts ?? 0,
    };
  }

  /** Round trip in milliseconds. Errors: PXM_NATS_DOWN. */
  async ping(): Promise<number> {
    try {
      return await withLimit(this.connection.rtt(), 3000);
    } catch (error) {
      throw new PxmError('PXM_NATS_DOWN', { url: this.url }, { cause: error });
    }
  }

  /** Whether it does so now; on the way its streams are looked after. */
  async answers(): Promise<boolean> {
    try {
      await this.ping();
      this.#failure = undefined;
    } catch (error) {
      this.#failure = toPxmError(error);
      return false;
    }
    this.#storeFailure = await this.#storeHealth?.look(this.connection);
    return this.#storeFailure === undefined;
  }

  /** Inventory messages that wait for us. */
  async backlog(): Promise<number> {
    const info = await (await jetstreamManager(this.connection, { timeout: 3000 })).consumers.info(
      INVENTORY_STREAM,
      INVENTORY_CONSUMER,
    );
    return info.num_pending + info.num_ack_pending;
  }

  async issueJwt(nodeUid: string, publicKey: string, expiresAt: Date): Promise<string> {
    const keys = this.#needKeys();
    return await agentUserJwt(
      { role: keys.agentRole, account: keys.fleet.getPublicKey() },
      { nodeUid, publicKey, expiresAt },
    );
  }

  isUserKey(text: string): boolean {
    return isUserPublicKey(text);
  }

  /** Makes the server forget every user whose node is revoked, at once. Errors: PXM_NATS_DOWN. */
  async applyRevocations(): Promise<void> {
    await new Revoker(this.#needKeys(), this.#address()).revoke(this.#options.revocations());
  }

  /** Removes what a node published from the stream: one object, or everything. */
  async purge(filter: string): Promise<void> {
    await (await jetstreamManager(this.connection, { timeout: 10_000 })).streams.purge(INVENTORY_STREAM, { filter });
  }

  async readNodeSubjects(nodeUid: string): Promise<readonly BusMessage[]> {
    return await readNodeSubjects(this.connection, nodeUid);
  }

  /** Asks an agent to publish kinds anew. Errors: PXM_NODE_UNREACHABLE when it does not listen. */
  async askResync(nodeUid: string, kinds: readonly string[]): Promise<void> {
    const body = ResyncInventoryRequest.encode({ kinds: [...kinds] }).finish();
    try {
      await this.connection.request(resyncSubject(nodeUid), body, { timeout: 10_000 });
    } catch (error) {
      throw new PxmError('PXM_NODE_UNREACHABLE', { node: nodeUid }, { cause: error });
    }
  }

  #address(): { url: string; ca: string } {
    const { external, supervised } = this.#options;
    if (external !== undefined) return external;
    return { url: `tls://127.0.0.1:${String(this.#server?.port ?? 0)}`, ca: supervised?.tls.ca ?? '' };
  }

  #needKeys(): BusKeys {
    if (this.#keys === undefined) throw new Error('the bus has not been started');
    return this.#keys;
  }

  async #startServer(keys: BusKeys): Promise<NatsServer> {
    const { supervised, runner, clock, logger, folder, revocations } = this.#options;
    if (supervised === undefined) throw new Error('the bus is neither supervised nor external');
    const accounts = {
      [keys.system.getPublicKey()]: await systemAccountJwt(keys),
      [keys.fleet.getPublicKey()]: await fleetAccountJwt(keys, revocations()),
    };
    const { program, listen, tls } = supervised;
    const server = new NatsServer({
      runner,
      clock,
      logger,
      program,
      folder,
      listen,
      tls,
      operatorJwt: await operatorJwt(keys),
      systemAccount: keys.system.getPublicKey(),
      accounts,
    });
    await server.start();
    this.#storeHealth = new StoreHealth({ clock, logger, folder, restart: () => server.restart() });
    return server;
  }
}

async function openKeys(folder: string): Promise<BusKeys> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const path = join(folder, 'keys.json');
  try {
    return readBusKeys(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT')
      throw new PxmError(
        'PXM_STATE_DAMAGED',
        { path, reason: 'it does not hold the keys of the bus' },
        { cause: error },
      );
  }
  const keys = createBusKeys();
  await writeFileAtomic(path, renderBusKeys(keys), { mode: 0o600 });
  return keys;
}

function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

async function withLimit<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${String(ms)} ms`));
    }, ms);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
