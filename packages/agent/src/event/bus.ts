/** The connection to NATS: made, kept, made again; nothing else of the agent waits for it. */
import type { JetStreamClient } from '@nats-io/jetstream';
import { jetstream } from '@nats-io/jetstream';
import { inboxPrefix } from '@pxmgr/contract';
import type { Clock } from '@pxmgr/kit/clock';
import type { Logger } from '@pxmgr/kit/log/logger';
import { nkeyProof, nkeySigner } from '@pxmgr/kit/pki/nkey';
import type { ConnectionOptions, NatsConnection } from 'nats';
import { connect } from 'nats';

export interface BusSettings {
  /** tls://host:4222, several separated by commas; plain nats:// only where nobody else is on the wire. */
  readonly url: string;
  readonly nodeUid: string;
  /** PEM of the fleet's CA; undefined for a bus without TLS. */
  readonly ca: string | undefined;
  /** Asked at each connection, since the JWT is renewed now and then. undefined = no authentication. */
  readonly credentials: (() => { readonly jwt: string; readonly seed: string }) | undefined;
}

export interface Bus {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
}

/** Greeting, TLS and proof of identity take five times the line's delay, and what a busy machine adds. */
const CONNECT_MS = 20_000;
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 15_000;

type Credentials = NonNullable<BusSettings['credentials']>;

/** `credentials` outlives the settings: a connection made before a renewal asks it at each reconnect. */
function optionsOf(settings: BusSettings, credentials: Credentials): ConnectionOptions {
  return {
    name: settings.nodeUid,
    servers: settings.url.split(',').map((server) => server.trim()),
    inboxPrefix: inboxPrefix(settings.nodeUid),
    ...(settings.ca === undefined ? {} : { tls: { ca: settings.ca } }),
    ...(settings.credentials === undefined
      ? {}
      : { authenticator: (nonce?: string) => proofOf(credentials(), nonce ?? '') }),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    // A whole fleet comes back at once after a restart of the server.
    reconnectJitter: 2_000,
    reconnectJitterTLS: 2_000,
    pingInterval: 10_000,
    maxPingOut: 2,
    timeout: CONNECT_MS,
    ignoreAuthErrorAbort: true,
  };
}

function proofOf({ jwt, seed }: ReturnType<Credentials>, nonce: string): { jwt: string; sig: string } {
  return nkeyProof({ jwt, sign: nkeySigner(seed) }, nonce);
}

/** Asked anew: the signal may have been aborted while something was awaited. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

export class BusConnection {
  #settings: BusSettings;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners: ((bus: Bus) => void)[] = [];
  readonly #upListeners: (() => void)[] = [];
  #bus: Bus | undefined;
  #isUp = false;

  constructor(settings: BusSettings, clock: Clock, logger: Logger) {
    this.#settings = settings;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** The live connection; undefined while there is none, so that nobody queues into the void. */
  get current(): Bus | undefined {
    return this.#isUp ? this.#bus : undefined;
  }

  /** Called for each new connection object; subscriptions of the old one survive its reconnects by themselves. */
  onConnection(callback: (bus: Bus) => void): void {
    this.#listeners.push(callback);
  }

  /** Called whenever messages can be sent again: for each new connection and each reconnect. */
  onUp(callback: () => void): void {
    this.#upListeners.push(callback);
  }

  /**
   * New address or credentials: what was written is flushed, then the connection is closed and made anew by `run`.
   * What is not confirmed yet stays in the outbox.
   */
  replace(settings: BusSettings): void {
    this.#settings = settings;
    const old = this.#bus?.connection;
    this.#isUp = false;
    // A connection that cannot be drained is lost already, and made anew as well.
    old?.drain().catch(() => old.close().catch(() => undefined));
  }

  /** Connects, and connects anew after the connection was closed for good, until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    let waitMs = FIRST_WAIT_MS;
    while (!signal.aborted) {
      try {
        const connection = await connect(optionsOf(this.#settings, () => this.#credentials()));
        waitMs = FIRST_WAIT_MS;
        await this.#use(connection, signal);
      } catch (error) {
        this.#logger.warn({ err: error, url: this.#settings.url }, 'message bus cannot be reached');
      }
      if (isAborted(signal)) return;
      await this.#clock.sleep(waitMs * (0.5 + Math.random()), signal).catch(() => undefined);
      waitMs = Math.min(waitMs * 2, MAX_WAIT_MS);
    }
  }

  #credentials(): ReturnType<Credentials> {
    const { credentials } = this.#settings;
    if (credentials === undefined) throw new Error('a bus with credentials has become one without');
    return credentials();
  }

  async #use(connection: NatsConnection, signal: AbortSignal): Promise<void> {
    const close = (): void => {
      // Errors while closing: the connection is given up anyway.
      connection.close().catch(() => undefined);
    };
    signal.addEventListener('abort', close, { once: true });
    if (isAborted(signal)) close();
    this.#bus = { connection, jetstream: jetstream(connection) };
    this.#logger.info({ url: this.#settings.url }, 'message bus connected');
    for (const listener of this.#listeners) listener(this.#bus);
    this.#nowUp();
    const watching = this.#follow(connection);
    const reason = await connection.closed();
    this.#isUp = false;
    await watching;
    signal.removeEventListener('abort', close);
    if (reason instanceof Error) this.#logger.warn({ err: reason }, 'message bus connection closed');
  }

  #nowUp(): void {
    this.#isUp = true;
    for (const listener of this.#upListeners) listener();
  }

  async #follow(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') {
        this.#isUp = false;
        this.#logger.warn({ url: this.#settings.url }, 'message bus connection lost');
      } else if (status.type === 'reconnect') {
        this.#logger.info({ url: this.#settings.url }, 'message bus connected again');
        this.#nowUp();
      } else if (status.type === 'error') {
        this.#logger.warn({ err: status.error }, 'message bus reports an error');
      }
    }
  }
}
