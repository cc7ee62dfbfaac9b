import {
  experimental,
  Server,
  ServerCredentials,
  type ServerOptions,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { limits } from '@pxmgr/contract';
import { type Clock, systemClock } from '../clock.ts';
import { isPxmError, PxmError } from '../error/pxm-error.ts';
import type { Logger } from '../log/logger.ts';
import { ActiveCall, type CallFacts, type Reply } from './active-call.ts';
import { adapt, type Gate, type RawCall } from './adapt.ts';
import type { Implementation, MethodDefinition, ServiceDefinition } from './handlers.ts';
import { ANONYMOUS, type Identity, identityText, ROOT_IDENTITY, readPeerCertificate } from './identity.ts';
import { bind, bindUnix } from './listen.ts';
import { type TlsMaterial, TlsSource } from './tls.ts';

export { type CallContext, unary } from './handlers.ts';

export interface RpcServerOptions {
  logger: Logger;
  /** For messages: "pxmgr-agent". */
  program: string;
  /** Throws PXM_FORBIDDEN; `method` is "pxmgr.agent.v1.NodeService/GetNode". Without it every valid identity may call. */
  authorise?: (identity: Identity, method: string) => void;
  /** Asked at the start of every call; see also `cutRevoked`. */
  isRevoked?: (identity: Identity) => boolean;
  /** Told of each call that is refused although its caller is known: not allowed, revoked, expired. */
  onRefusal?: (refusal: Refusal) => void;
  clock?: Clock;
}

export interface Refusal {
  readonly identity: Identity;
  readonly method: string;
  readonly error: PxmError;
}

interface Service {
  readonly definition: ServiceDefinition;
  readonly implementation: Readonly<Record<string, unknown>>;
  readonly isAnonymous: boolean;
}

/** Where a call came in decides what its caller must prove. */
type Door = 'mutual-tls' | 'tls-only' | 'unix';

const OPTIONS: ServerOptions = {
  'grpc.max_receive_message_length': limits.RPC_MAX_BYTES,
  'grpc.max_send_message_length': limits.RPC_MAX_BYTES,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_concurrent_streams': 1000,
};

export function createRpcServer(options: RpcServerOptions): RpcServer {
  return new RpcServer(options);
}

/** gRPC server with one identity rule per door. Add services first, then listen. Errors reach callers by code. */
export class RpcServer {
  readonly #options: RpcServerOptions;
  readonly #services: Service[] = [];
  readonly #servers: Server[] = [];
  readonly #sources: TlsSource[] = [];
  readonly #calls = new Set<ActiveCall<unknown>>();
  readonly #clock: Clock;
  #isStopping = false;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** `anonymous` services are the only ones on the TLS-only door; elsewhere they need an identity like all others. */
  addService<Def extends ServiceDefinition>(
    definition: Def,
    implementation: Implementation<Def>,
    options: { anonymous?: boolean } = {},
  ): this {
    if (this.#servers.length > 0) throw new Error('services must be added before listening');
    this.#services.push({ definition, implementation, isAnonymous: options.anonymous ?? false });
    return this;
  }

  /** mutual TLS: a certificate of `tls.ca` with an identity is required. Gives the bound port. */
  async listen(options: { address: string; tls: TlsMaterial }): Promise<number> {
    const source = this.#source(options.tls);
    return await bind(
      this.#server('mutual-tls'),
      options.address,
      experimental.createCertificateProviderServerCredentials(source, source, true),
    );
  }

  /** TLS without client certificates, for joining. */
  async listenTlsOnly(address: string, tls: TlsMaterial): Promise<number> {
    // The declared parameter names are swapped in grpc-js 1.14: the first is the identity, the second the CA.
    const credentials = experimental.createCertificateProviderServerCredentials(this.#source(tls), null, false);
    return await bind(this.#server('tls-only'), address, credentials);
  }

  /** UNIX socket with mode 0600: whoever can open it is root of this machine. */
  async listenUnix(path: string): Promise<void> {
    await bindUnix(this.#server('unix'), path, ServerCredentials.createInsecure());
  }

  /** New handshakes use the new certificates; open connections go on. */
  reloadTls(tls: TlsMaterial): void {
    for (const source of this.#sources) source.replace(tls);
  }

  /** Ends every running call of an identity that is revoked now. Later calls are refused anyway. */
  cutRevoked(): number {
    const { isRevoked } = this.#options;
    const revoked = [...this.#calls].filter((call) => isRevoked?.(call.facts.identity) === true);
    for (const call of revoked) call.fail(revocation(call.facts.identity));
    return revoked.length;
  }

  get activeCalls(): number {
    return this.#calls.size;
  }

  /** No new calls; streams end at once with PXM_SHUTTING_DOWN, other calls may finish until the deadline. */
  async stop(deadlineMs: number): Promise<void> {
    this.#isStopping = true;
    for (const call of this.#calls) if (call.facts.isStream) call.fail(this.#shuttingDown());
    const servers = this.#servers.splice(0);
    const timer = setTimeout(() => {
      for (const call of this.#calls) call.fail(this.#shuttingDown());
      for (const server of servers) server.forceShutdown();
    }, deadlineMs);
    await Promise.all(servers.map((server) => new Promise<void>((resolve) => server.tryShutdown(() => resolve()))));
    clearTimeout(timer);
  }

  #source(tls: TlsMaterial): TlsSource {
    const source = new TlsSource(tls);
    this.#sources.push(source);
    return source;
  }

  #server(door: Door): Server {
    const server = new Server(OPTIONS);
    const gate = this.#gate(door);
    for (const service of this.#services) {
      if (door === 'tls-only' && !service.isAnonymous) continue;
      const handlers: UntypedServiceImplementation = {};
      for (const [name, definition] of Object.entries(service.definition)) {
        handlers[name] = adapt(
          definition as MethodDefinition<unknown, unknown>,
          service.implementation[name] as Parameters<typeof adapt>[1],
          gate,
        );
      }
      server.addService(service.definition, handlers);
    }
    this.#servers.push(server);
    return server;
  }

  #gate(door: Door): Gate {
    return {
      identify: (call, method) => this.#identify(door, call, method),
      admit: (identity, method) => {
        if (this.#isStopping) throw this.#shuttingDown();
        try {
          if (this.#options.isRevoked?.(identity) === true) throw revocation(identity);
          if (identity.kind !== 'anonymous') this.#options.authorise?.(identity, method);
        } catch (error) {
          if (isPxmError(error)) this.#options.onRefusal?.({ identity, method, error });
          throw error;
        }
      },
      open: <Res>(facts: CallFacts, reply: Reply<Res>) => {
        const call = new ActiveCall(facts, reply, this.#options.logger);
        this.#calls.add(call);
        return call;
      },
      close: (call) => {
        this.#calls.delete(call);
      },
    };
  }

  #identify(door: Door, call: RawCall, method: string): Identity {
    if (door === 'unix') return ROOT_IDENTITY;
    if (door === 'tls-only') return ANONYMOUS;
    const der = call.getAuthContext().sslPeerCertificate?.raw;
    const peer = der === undefined ? undefined : readPeerCertificate(der);
    if (peer === undefined) throw new PxmError('PXM_AUTH_CERTIFICATE_REQUIRED', { peer: this.#options.program });
    // TLS checked this at the handshake; a connection may live longer than its certificate.
    if (peer.notAfter > this.#clock.now()) return peer.identity;
    const error = new PxmError('PXM_AUTH_EXPIRED', { peer: this.#options.program });
    this.#options.onRefusal?.({ identity: peer.identity, method, error });
    throw error;
  }

  #shuttingDown(): PxmError {
    return new PxmError('PXM_SHUTTING_DOWN', { program: this.#options.program });
  }
}

function revocation(identity: Identity): PxmError {
  return new PxmError('PXM_AUTH_REVOKED', { identity: identityText(identity) });
}
