import {
  type ChannelCredentials,
  type Client,
  type ClientOptions,
  connectivityState,
  credentials,
  experimental,
} from '@grpc/grpc-js';
import { limits } from '@pxmgr/contract';
import { fromServiceError, type Where } from '../error/from-status.ts';
import { PxmError } from '../error/pxm-error.ts';
import { SERVER_NAME, splitAddress } from './address.ts';
import { bindErrors, call, callBidi, callStream } from './call.ts';
import { type Identity, identityOf, identityText } from './identity.ts';
import { probeRefusal } from './probe.ts';
import { type TlsMaterial, TlsSource } from './tls.ts';

export { type BidiCall, type CallOptions, call, callBidi, callStream } from './call.ts';

export interface ChannelOptions {
  /** "host:port", "[v6]:port" or "unix:/path". */
  address: string;
  /** Needed for TCP; a UNIX socket has none. */
  tls?: TlsMaterial & { serverName?: string };
  /**
   * Who must answer: the identity in the server's certificate decides, not its host name (nodes change addresses).
   * Without it the host name is checked as in HTTPS.
   */
  peer?: { kind: Identity['kind']; name?: string };
  /** The word for the peer in messages; default the address. */
  peerName?: string;
  /** The code for "nobody answers"; default by `peer.kind`. */
  unreachable?: Where['unreachable'];
}

/** Constructor of a generated client. */
export type ClientConstructor<C> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

/** One connection to one peer. */
export interface Channel {
  readonly address: string;
  /** The typed client of a service; all clients of a channel share its connection. */
  client<C extends object>(constructor: ClientConstructor<C>): C;
  readonly call: typeof call;
  readonly callStream: typeof callStream;
  readonly callBidi: typeof callBidi;
  /** Renewed certificates, for the next handshake. */
  reloadTls(tls: TlsMaterial): void;
  /**
   * The peer is known to be there again: the next call connects at once. Until the wait between two attempts is over
   * (up to 5 s) it would fail with what the last attempt met. Calls that are under way are not touched.
   */
  resetBackoff(): void;
  close(): void;
}

const OPTIONS: ClientOptions = {
  'grpc.max_receive_message_length': limits.RPC_MAX_BYTES,
  'grpc.max_send_message_length': limits.RPC_MAX_BYTES,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.initial_reconnect_backoff_ms': 250,
  'grpc.min_reconnect_backoff_ms': 250,
  'grpc.max_reconnect_backoff_ms': 5000,
  // Neither a proxy from the environment nor retry rules from DNS have a say inside a fleet.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // Otherwise a new channel to the same address goes on with the connection, and the wait, of the one before it.
  'grpc.use_local_subchannel_pool': 1,
};

/** Connects on the first call. Calls fail with PxmError only. */
export function createChannel(options: ChannelOptions): Channel {
  const { address } = options;
  const isUnix = address.startsWith('unix:');
  if (!isUnix && options.tls === undefined) throw new Error('a TCP channel needs TLS');
  if (!isUnix) splitAddress(address);
  const source = options.tls === undefined ? undefined : new TlsSource(options.tls);
  const channelCredentials = source === undefined || isUnix ? credentials.createInsecure() : secure(source, options);
  const clients = new Map<unknown, Client>();
  let shared: ReturnType<Client['getChannel']> | undefined;
  const clientOptions = {
    ...OPTIONS,
    ...(isUnix ? {} : { 'grpc.ssl_target_name_override': options.tls?.serverName ?? nameFor(options) }),
  };
  const close = (): void => {
    shared?.close();
    clients.clear();
  };
  return {
    address,
    client: <C extends object>(constructor: ClientConstructor<C>): C => {
      const known = clients.get(constructor);
      if (known !== undefined) return known as unknown as C;
      const made = new constructor(
        address,
        channelCredentials,
        shared === undefined ? clientOptions : { ...clientOptions, channelOverride: shared },
      );
      const client = made as unknown as Client;
      shared ??= client.getChannel();
      clients.set(constructor, client);
      bindErrors(client, (error) => explain(error, options, source));
      return made;
    },
    call,
    callStream,
    callBidi,
    reloadTls: (tls) => {
      source?.replace(tls);
    },
    resetBackoff: () => {
      if (shared?.getConnectivityState(false) !== connectivityState.TRANSIENT_FAILURE) return;
      close();
      shared = undefined;
    },
    close,
  };
}

/** With an expected identity the name is only SNI; without one it is what the certificate must be made for. */
function nameFor(options: ChannelOptions): string {
  return options.peer === undefined ? splitAddress(options.address).host : SERVER_NAME;
}

function secure(source: TlsSource, options: ChannelOptions): ChannelCredentials {
  const { peer } = options;
  const check =
    peer === undefined
      ? {}
      : { checkServerIdentity: (_host: string, certificate: { raw: Uint8Array }) => mismatch(peer, certificate.raw) };
  const identity = source.material.cert === undefined ? null : source;
  return experimental.createCertificateProviderChannelCredentials(source, identity, check);
}

function mismatch(peer: NonNullable<ChannelOptions['peer']>, der: Uint8Array): Error | undefined {
  const found = identityOf(der);
  if (found?.kind === peer.kind && (peer.name === undefined || peer.name === found.name)) return undefined;
  const wanted = peer.name === undefined ? peer.kind : `${peer.kind}:${peer.name}`;
  return new Error(
    `the server is not the expected peer: wanted ${wanted}, found ${found === undefined ? 'no identity' : identityText(found)}`,
  );
}

async function explain(error: unknown, options: ChannelOptions, source: TlsSource | undefined): Promise<PxmError> {
  const unreachable =
    options.unreachable ?? (options.peer?.kind === 'agent' ? 'PXM_NODE_UNREACHABLE' : 'PXM_CONTROLLER_UNREACHABLE');
  const peer = options.peerName ?? options.address;
  const known = fromServiceError(error, { peer, unreachable });
  if (known.code !== unreachable || source === undefined || !isSilentClose(error)) return known;
  const refusal = await probeRefusal(options.address, source.material);
  return refusal === undefined ? known : new PxmError(refusal, { peer });
}

/** grpc-js 1.14 says just this when a handshake or the connection right after it is closed without a reason. */
function isSilentClose(error: unknown): boolean {
  return (
    error instanceof Error &&
    /Failed to connect|Socket closed|ECONNRESET|Connection dropped|Received RST_STREAM/i.test(error.message)
  );
}
