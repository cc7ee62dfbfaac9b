import type { KeyPair } from '@nats-io/nkeys';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Logger } from '@pxmgr/kit/log/logger';
import { nkeyProof } from '@pxmgr/kit/pki/nkey';
import { connect, type NatsConnection } from 'nats';

export interface BusAddress {
  /** tls://host:port, several separated by commas. */
  readonly url: string;
  /** PEM of the CA that signed the server's certificate. */
  readonly ca: string;
}

export interface BusUser {
  readonly name: string;
  readonly jwt: string;
  readonly keys: Pick<KeyPair, 'sign'>;
}

/**
 * Connects and keeps reconnecting for ever; what happens meanwhile is logged. Errors: PXM_NATS_DOWN when the first
 * connection fails.
 */
export async function connectBus(address: BusAddress, user: BusUser, logger: Logger): Promise<NatsConnection> {
  try {
    const connection = await connect({
      name: user.name,
      servers: address.url.split(',').map((server) => server.trim()),
      tls: { ca: address.ca },
      authenticator: (nonce?: string) =>
        nkeyProof({ jwt: user.jwt, sign: (data) => user.keys.sign(data) }, nonce ?? ''),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 500,
      reconnectJitterTLS: 500,
      pingInterval: 10_000,
      maxPingOut: 2,
      timeout: 5000,
      ignoreAuthErrorAbort: true,
    });
    void report(connection, logger);
    return connection;
  } catch (error) {
    throw new PxmError('PXM_NATS_DOWN', { url: address.url }, { cause: error });
  }
}

async function report(connection: NatsConnection, logger: Logger): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect' || status.type === 'reconnect')
      logger.info({ state: status.type }, 'message bus connection changed');
    if (status.type === 'error') logger.warn({ err: status.error }, 'message bus reports an error');
  }
}
