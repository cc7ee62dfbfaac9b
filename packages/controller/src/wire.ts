/**
 * Composition root of the controller: builds every object from the configuration and five doors (clock, ids, programs,
 * log, metrics), starts them in order and stops them in reverse. Nothing else in the program makes long-lived objects.
 */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '@pxmgr/kit/clock';
import { registerSecret } from '@pxmgr/kit/log/redact';
import { validityOf } from '@pxmgr/kit/pki/certificate';
import { splitAddress } from '@pxmgr/kit/rpc/address';
import type { RpcServer } from '@pxmgr/kit/rpc/server';
import type { TlsMaterial } from '@pxmgr/kit/rpc/tls';
import type { PveEndpoint } from './config.ts';
import { LoopDriver } from './loop/driver.ts';
import { fleetLoops } from './loop/loops.ts';
import { createPveProbe, type PveProbe } from './pve/client.ts';
import type { SelfFacts } from './self-metrics.ts';
import { buildServer } from './wire-api.ts';
import type { ControllerDeps } from './wire-deps.ts';
import { buildFleet, type Fleet } from './wire-fleet.ts';
import { openState, type State } from './wire-state.ts';
import { buildWorkSide, type WorkSide } from './wire-work.ts';

const STOP_CALLS_MS = 5000;
const RENEW_CHECK_MS = 3_600_000;
const REVOCATION_RETRY_MS = 5000;

/** The whole controller. `start` resolves when it serves; `stop` leaves nothing running. */
export class Controller {
  readonly #deps: ControllerDeps;
  readonly #closers: (() => Promise<void> | void)[] = [];
  #facts: (() => SelfFacts) | undefined;
  #tls: TlsMaterial | undefined;
  #grpcPort = 0;
  #joinPort = 0;
  #natsPort = 0;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
  }

  get grpcPort(): number {
    return this.#grpcPort;
  }

  get joinPort(): number {
    return this.#joinPort;
  }

  get natsPort(): number {
    return this.#natsPort;
  }

  /** Figures for metrics; undefined while it is not up. */
  facts(): SelfFacts | undefined {
    return this.#facts?.();
  }

  /** A start that fails undoes what it began. */
  async start(): Promise<void> {
    try {
      await this.#build();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        this.#deps.logger.error({ err: error }, 'a part did not stop cleanly');
      }
    }
  }

  async #build(): Promise<void> {
    const { config, clock, logger } = this.#deps;
    const startedAt = clock.now();
    const state = await openState(config, clock);
    this.#closers.push(async () => await state.close());
    this.#tls = tlsOf(state);
    const fleet = buildFleet(this.#deps, state);
    this.#closers.push(
      () => {
        fleet.dialer.close();
      },
      async () => await fleet.stop(),
    );
    await fleet.start();
    this.#natsPort = fleet.bus.port;
    const work = buildWorkSide(this.#deps, state, fleet);
    this.#closers.push(async () => await work.stop());
    const loops = new LoopDriver(clock, logger);
    const pve = config.pve_endpoints.map((endpoint) => openEndpoint(endpoint, clock));
    this.#closers.push(() => {
      for (const probe of pve) probe.close();
    });
    const server = buildServer(this.#deps, state, {
      fleet,
      work,
      loops,
      pve,
      startedAt,
      joinAddress: () => this.#reachableAt(state, this.#joinPort),
      controllerAddress: () => this.#reachableAt(state, this.#grpcPort),
      certificate: () => this.#tls?.cert ?? state.controllerCertificate.certificate,
    });
    this.#closers.push(async () => await server.stop(STOP_CALLS_MS));
    await this.#listen(server, state);
    work.start();
    for (const loop of [
      ...fleetLoops(this.#loopParts(state, fleet)),
      ...this.#ownLoops(state, fleet, server),
      ...work.loops,
    ])
      loops.add(loop);
    loops.start();
    this.#facts = () => selfFacts(state, fleet, { work, loops });
    this.#closers.push(() => {
      this.#facts = undefined;
    });
    this.#closers.push(async () => await loops.stop());
    logger.info(
      { grpc: this.#grpcPort, join: this.#joinPort, nats: fleet.bus.url, nodes: fleet.registry.list().length },
      'controller serves',
    );
  }

  async #listen(server: RpcServer, state: State): Promise<void> {
    const { config } = this.#deps;
    const tls = tlsOf(state);
    this.#grpcPort = await server.listen({ address: config.listen, tls });
    this.#joinPort = await server.listenTlsOnly(config.join_listen, tls);
    if (config.unix_socket === '') return;
    await mkdir(dirname(config.unix_socket), { recursive: true, mode: 0o755 });
    await server.listenUnix(config.unix_socket);
  }

  #reachableAt(state: State, port: number): string {
    const name = state.names[0] ?? '127.0.0.1';
    return `${name.includes(':') ? `[${name}]` : name}:${String(port)}`;
  }

  #loopParts(state: State, fleet: Fleet): Parameters<typeof fleetLoops>[0] {
    const { clock, config } = this.#deps;
    return {
      clock,
      database: state.database,
      registry: fleet.registry,
      repair: fleet.repair,
      ...state.stores,
      busAnswers: async () => await fleet.bus.answers(),
      purge: async (subject) => {
        await fleet.bus.purge(subject);
      },
      changeRetentionMs: config.change_retention,
      auditRetentionMs: config.audit_retention,
    };
  }

  #ownLoops(state: State, fleet: Fleet, server: RpcServer): Parameters<LoopDriver['add']>[0][] {
    return [
      {
        name: 'revocations',
        description: 'tells the message bus of revoked nodes',
        periodMs: REVOCATION_RETRY_MS,
        run: async () => {
          await fleet.settleRevocations();
        },
      },
      {
        name: 'certificate',
        description: "renews the controller's certificate",
        periodMs: RENEW_CHECK_MS,
        run: async () => {
          await this.#renew(state, fleet, server);
        },
      },
    ];
  }

  async #renew(state: State, fleet: Fleet, server: RpcServer): Promise<void> {
    if (this.#tls?.cert === undefined || validityOf(this.#tls.cert).renewAt > this.#deps.clock.now()) return;
    const { certificate, privateKey } = await state.pki.issueController({ names: state.names });
    this.#tls = { ca: state.pki.caCertificate, cert: certificate, key: privateKey };
    server.reloadTls(this.#tls);
    fleet.dialer.reloadTls(this.#tls);
    this.#deps.logger.info(
      { until: validityOf(certificate).notAfter },
      'the certificate of the controller was renewed',
    );
  }
}

function tlsOf(state: State): TlsMaterial {
  const { pki, controllerCertificate } = state;
  return { ca: pki.caCertificate, cert: controllerCertificate.certificate, key: controllerCertificate.privateKey };
}

function openEndpoint(endpoint: PveEndpoint, clock: Clock): PveProbe {
  const token = readFileSync(endpoint.token_file, 'utf8').trim();
  registerSecret(token);
  splitAddress(endpoint.address);
  return createPveProbe({ ...endpoint, token }, clock);
}

function selfFacts(state: State, fleet: Fleet, { work, loops }: { work: WorkSide; loops: LoopDriver }): SelfFacts {
  return {
    presences: fleet.registry.list().map((node) => node.presence),
    objects: fleet.view.counts(),
    committed: fleet.committed(),
    busRestarts: fleet.bus.status().restarts,
    databaseBytes: state.database.sizeBytes(),
    operationsActive: work.activity.operationsActive(),
    reservationsActive: work.activity.reservationsActive(),
    loops: loops.status(),
  };
}
