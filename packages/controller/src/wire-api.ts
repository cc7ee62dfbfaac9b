/** Last part of the composition: the services on their doors. */
import {
  AccessServiceService,
  ChangeServiceService,
  FleetServiceService,
  GuestServiceService,
  InventoryServiceService,
  JoinServiceService,
} from '@pxmgr/contract/controller';
import { validityOf } from '@pxmgr/kit/pki/certificate';
import type { Identity } from '@pxmgr/kit/rpc/identity';
import { createRpcServer, type RpcServer } from '@pxmgr/kit/rpc/server';
import { accessService } from './api/access.ts';
import { Auditor } from './api/audit.ts';
import { authorise } from './api/authorise.ts';
import { changeService } from './api/change.ts';
import { controllerChecks } from './api/checks.ts';
import { fleetService } from './api/fleet.ts';
import { guestService } from './api/guest.ts';
import { inventoryService } from './api/inventory.ts';
import { joinService, recordJoin } from './api/join.ts';
import type { SelfCheck } from './api/selftest.ts';
import { CONFIG_PROGRAM } from './config.ts';
import { Joining } from './fleet/join.ts';
import { Operators } from './fleet/operators.ts';
import type { Registry } from './fleet/registry.ts';
import { Tokens } from './fleet/tokens.ts';
import type { LoopDriver } from './loop/driver.ts';
import type { PveProbe } from './pve/client.ts';
import type { ControllerDeps } from './wire-deps.ts';
import type { Fleet } from './wire-fleet.ts';
import type { State } from './wire-state.ts';
import type { WorkSide } from './wire-work.ts';

export interface ServerParts {
  readonly fleet: Fleet;
  readonly work: WorkSide;
  readonly loops: LoopDriver;
  readonly pve: readonly PveProbe[];
  readonly startedAt: Date;
  /** host:port as others reach them; known once the server listens. */
  readonly joinAddress: () => string;
  readonly controllerAddress: () => string;
  /** The certificate in use. */
  readonly certificate: () => string;
}

/** A server with every service mounted; it does not listen yet. */
export function buildServer(deps: ControllerDeps, state: State, parts: ServerParts): RpcServer {
  const { clock, logger } = deps;
  const { stores } = state;
  const { fleet } = parts;
  const auditor = new Auditor(stores.audit, clock);
  const operators = new Operators(stores.operators, state.pki, clock);
  const server = createRpcServer({
    logger,
    program: CONFIG_PROGRAM,
    clock,
    authorise,
    isRevoked: (identity) => isRevoked(identity, fleet.registry, operators),
    onRefusal: (refusal) => {
      auditor.refused(refusal);
    },
  });
  const tokens = new Tokens({
    records: stores.tokens,
    clock,
    joinAddress: parts.joinAddress,
    caFingerprint: state.pki.caFingerprint,
  });
  const joining = buildJoining(deps, state, { ...parts, tokens, auditor });
  const fleetImplementation = buildFleetService(deps, state, { ...parts, tokens, joining, server });
  server.addService(FleetServiceService, auditor.wrap(FleetServiceService, fleetImplementation));
  const access = accessService({
    operators,
    audit: stores.audit,
    caCertificate: state.pki.caCertificate,
    controllerAddress: parts.controllerAddress,
    cut: () => {
      server.cutRevoked();
    },
  });
  server.addService(AccessServiceService, auditor.wrap(AccessServiceService, access));
  server.addService(InventoryServiceService, auditor.wrap(InventoryServiceService, inventoryService(fleet.view)));
  server.addService(ChangeServiceService, auditor.wrap(ChangeServiceService, changeService(stores.changes)));
  server.addService(GuestServiceService, auditor.wrap(GuestServiceService, guestService({ ...fleet, auditor })));
  server.addService(JoinServiceService, joinService(joining, auditor), { anonymous: true });
  parts.work.addServices(server, auditor);
  return server;
}

/** Root over the UNIX socket has no certificate that could be revoked. */
function isRevoked(identity: Identity, registry: Registry, operators: Operators): boolean {
  if (identity.kind === 'agent') return registry.isRevoked(identity.name);
  return identity.kind === 'operator' && identity.serial !== undefined && operators.isRevoked(identity.serial);
}

function buildJoining(
  deps: ControllerDeps,
  state: State,
  parts: ServerParts & { tokens: Tokens; auditor: Auditor },
): Joining {
  const { bus, registry } = parts.fleet;
  return new Joining({
    tokens: parts.tokens,
    pki: state.pki,
    registry,
    clock: deps.clock,
    bus: {
      url: () => bus.url,
      issueJwt: async (uid, key, until) => await bus.issueJwt(uid, key, until),
      isUserKey: (text) => bus.isUserKey(text),
    },
    controllerAddress: parts.controllerAddress,
    transaction: (work) => state.database.transaction(work),
    onJoin: (uid, name) => {
      recordJoin(parts.auditor, uid, name);
    },
  });
}

function buildFleetService(
  deps: ControllerDeps,
  state: State,
  parts: ServerParts & { tokens: Tokens; joining: Joining; server: RpcServer },
): ReturnType<typeof fleetService> {
  const { fleet, tokens, joining, server } = parts;
  const checks = buildChecks(deps, state, parts);
  return fleetService({
    view: fleet.view,
    tokens,
    joining,
    startedAt: parts.startedAt,
    activity: parts.work.activity,
    bus: () => fleet.bus.status(),
    changeCount: () => state.stores.changes.count(),
    databaseBytes: () => state.database.sizeBytes(),
    databaseFailure: () => state.database.failure(),
    revoke: async (node) =>
      await fleet.revoke(node, () => {
        server.cutRevoked();
      }),
    checks: () => checks,
  });
}

function buildChecks(deps: ControllerDeps, state: State, parts: ServerParts): SelfCheck[] {
  return controllerChecks({
    ...state.stores,
    ...parts.fleet,
    database: state.database,
    pve: parts.pve,
    now: () => deps.clock.now(),
    loops: () => parts.loops.status(),
    controllerCertificateExpiresAt: () => validityOf(parts.certificate()).notAfter,
  });
}
