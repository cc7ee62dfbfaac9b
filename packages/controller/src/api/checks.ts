import { NodeServiceClient } from '@pxmgr/contract/agent';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Bus } from '../bus/bus.ts';
import type { Dialer } from '../fleet/dial.ts';
import { fanOut } from '../fleet/fan-out.ts';
import type { Registry } from '../fleet/registry.ts';
import type { LoopStatus } from '../loop/driver.ts';
import type { PveProbe } from '../pve/client.ts';
import type { CursorStore } from '../store/cursors.ts';
import type { Database } from '../store/open.ts';
import type { CheckVerdict, SelfCheck } from './selftest.ts';

export interface CheckParts {
  readonly database: Database;
  readonly cursors: CursorStore;
  readonly bus: Bus;
  readonly registry: Registry;
  readonly dialer: Dialer;
  readonly loops: () => readonly LoopStatus[];
  readonly controllerCertificateExpiresAt: () => Date;
  readonly now: () => Date;
  /** Clock of a node minus ours, in milliseconds, from its last heartbeat. */
  readonly clockSkewMs: (nodeUid: string) => number | undefined;
  readonly pve: readonly PveProbe[];
}

const DAY_MS = 86_400_000;
const BACKLOG_WARNING = 10_000;
const SKEW_WARNING_MS = 5000;
const AGENT_CALL_MS = 5000;

/** What the controller can see of its own health. */
export function controllerChecks(parts: CheckParts): SelfCheck[] {
  return [
    { code: 'CHECK_DATABASE', title: 'database', run: () => checkDatabase(parts) },
    { code: 'CHECK_NATS', title: 'message bus', run: async () => await checkBus(parts) },
    { code: 'CHECK_INGEST', title: 'inventory messages', run: async () => await checkIngest(parts) },
    { code: 'CHECK_CERTIFICATE', title: 'certificates', run: () => checkCertificates(parts) },
    { code: 'CHECK_AGENTS', title: 'agents are heard', run: () => checkPresence(parts) },
    { code: 'CHECK_AGENT_CALL', title: 'agents answer calls', run: async (signal) => await checkCalls(parts, signal) },
    { code: 'CHECK_AGENT_CLOCK', title: 'clocks agree', run: () => checkClocks(parts) },
    { code: 'CHECK_LOOPS', title: 'background loops', run: () => checkLoops(parts) },
    ...parts.pve.map(
      (probe): SelfCheck => ({
        code: 'CHECK_PVE',
        title: `Proxmox API ${probe.name}`,
        run: async (signal) => await checkPve(probe, signal),
      }),
    ),
  ];
}

function ok(detail: string): CheckVerdict {
  return { status: 'ok', detail };
}

function checkDatabase({ database }: CheckParts): CheckVerdict {
  const answer = database.check();
  if (answer !== 'ok') throw new PxmError('PXM_DATABASE_CORRUPT', { path: database.path, reason: answer });
  return ok(`${database.path}, ${String(Math.round(database.sizeBytes() / 1024))} KiB`);
}

async function checkBus({ bus }: CheckParts): Promise<CheckVerdict> {
  const ms = await bus.ping();
  const { url, isSupervised, restarts } = bus.status();
  const detail = `${url}, ${isSupervised ? 'supervised' : 'external'}, round trip ${ms.toFixed(0)} ms`;
  if (restarts > 0)
    return {
      status: 'warning',
      detail: `${detail}, restarted ${String(restarts)} times`,
      fix: 'see the controller log for the words of nats-server',
    };
  return ok(detail);
}

async function checkIngest({ bus, cursors }: CheckParts): Promise<CheckVerdict> {
  const backlog = await bus.backlog();
  const parked = cursors.parkedCount();
  const detail = `${String(backlog)} waiting, ${String(parked)} put aside`;
  if (backlog > BACKLOG_WARNING)
    return { status: 'warning', detail, fix: 'the controller cannot keep up: look at its CPU and disk' };
  if (parked > 0)
    return {
      status: 'warning',
      detail,
      fix: 'an agent of another version sends what this controller cannot read; see the log',
    };
  return ok(detail);
}

function checkCertificates({ registry, controllerCertificateExpiresAt, now }: CheckParts): CheckVerdict {
  const days = (at: Date): number => Math.floor((at.getTime() - now().getTime()) / DAY_MS);
  const soon = registry.list().filter((node) => days(node.certificateExpiresAt) < 5);
  const own = days(controllerCertificateExpiresAt());
  if (soon.length > 0) {
    const names = soon.map((node) => `${node.name} (${String(days(node.certificateExpiresAt))} d)`).join(', ');
    return {
      status: 'warning',
      detail: `certificates end soon: ${names}`,
      fix: 'join those nodes again with a new token: pxmgr node token create',
    };
  }
  return ok(`the controller's is valid for ${String(own)} days`);
}

function checkPresence({ registry }: CheckParts): CheckVerdict {
  const nodes = registry.list();
  if (nodes.length === 0)
    return { status: 'skipped', detail: 'no node has joined yet', fix: 'pxmgr node token create' };
  const silent = nodes.filter((node) => node.presence !== 'up');
  if (silent.length === 0) return ok(`${String(nodes.length)} up`);
  const names = silent.map((node) => `${node.name} (${node.presence})`).join(', ');
  return {
    status: 'failed',
    detail: `${String(silent.length)} of ${String(nodes.length)} are not up: ${names}`,
    fix: 'check the hosts and "systemctl status pxmgr-agent" on them',
  };
}

async function checkCalls({ registry, dialer }: CheckParts, signal: AbortSignal): Promise<CheckVerdict> {
  const nodes = registry.list().filter((node) => node.presence !== 'down');
  if (nodes.length === 0) return { status: 'skipped', detail: 'no node to call' };
  const results = await fanOut(
    nodes,
    async (node) =>
      await dialer.reach(
        node.uid,
        async (channel) =>
          await channel.call(channel.client(NodeServiceClient), 'getNode', {}, { deadlineMs: AGENT_CALL_MS, signal }),
      ),
  );
  // An agent that has just started answers, even if it has nothing to tell yet.
  const failed = results.flatMap((result) =>
    result.ok || result.error.code === 'PXM_INVENTORY_UNREAD' ? [] : [`${result.node.name}: ${result.error.message}`],
  );
  if (failed.length === 0) return ok(`${String(nodes.length)} answered`);
  return {
    status: 'failed',
    detail: failed.join('; '),
    fix: 'the controller must reach the agents at their address (port 7450): check firewalls',
  };
}

function checkClocks({ registry, clockSkewMs }: CheckParts): CheckVerdict {
  const skewed = registry.list().flatMap((node) => {
    const skew = clockSkewMs(node.uid);
    return skew !== undefined && Math.abs(skew) > SKEW_WARNING_MS
      ? [`${node.name} ${skew > 0 ? '+' : ''}${(skew / 1000).toFixed(0)} s`]
      : [];
  });
  if (skewed.length === 0) return ok('within 5 s');
  return { status: 'warning', detail: skewed.join(', '), fix: 'run chrony on every host' };
}

function checkLoops({ loops }: CheckParts): CheckVerdict {
  const failing = loops().filter((loop) => loop.lastError !== undefined);
  if (failing.length === 0) return ok(`${String(loops().length)} run`);
  return {
    status: 'warning',
    detail: `failing: ${failing.map((loop) => loop.name).join(', ')}`,
    fix: 'see the controller log',
  };
}

async function checkPve(probe: PveProbe, signal: AbortSignal): Promise<CheckVerdict> {
  const { nodes, guests, storages } = await probe.resources(signal);
  return ok(`${String(nodes)} nodes, ${String(guests)} guests, ${String(storages)} storages`);
}
