import { FakeClock } from '@pxmgr/kit/clock';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { beforeEach, describe, expect, it } from 'vitest';
import type { NodeRecord } from '../domain/node-state.ts';
import { NodeStore } from '../store/nodes.ts';
import { type Database, openDatabase } from '../store/open.ts';
import { Registry } from './registry.ts';

const UID = 'n-aaaaaaaaaaaaaaaa';
const SIGN = { generation: 1n, address: '10.0.0.1:7450', agentVersion: '0.1.0' };

function record(part: Partial<NodeRecord> = {}): NodeRecord {
  return {
    uid: UID,
    name: 'pve1',
    address: '10.0.0.1:7450',
    natsPublicKey: 'UABC',
    certificateSerial: '01',
    certificateExpiresAt: new Date('2026-02-01'),
    agentVersion: '0.1.0',
    joinedAt: new Date('2026-01-01'),
    lastSeenAt: undefined,
    generation: 0n,
    revokedAt: undefined,
    ...part,
  };
}

let clock: FakeClock;
let database: Database;
beforeEach(() => {
  clock = new FakeClock();
  database = openDatabase(':memory:');
});
const open = (): Registry => new Registry(new NodeStore(database), clock, silentLogger());

/** That many seconds in which the bus answers and, unless told, nobody says anything. */
async function listen(registry: Registry, seconds: number): Promise<void> {
  registry.attend();
  for (let second = 0; second < seconds; second += 1) {
    await clock.advance(1000);
    registry.attend();
    registry.sweep();
  }
}

describe('presence', () => {
  it('goes from joined over up and suspect to down, and back, each told once', async () => {
    const registry = open();
    registry.add(record());
    const told: string[] = [];
    registry.onPresence((node, before) => told.push(`${before}>${node.presence}`));
    expect(registry.get('pve1').presence).toBe('joined');
    registry.hear(UID, SIGN);
    await listen(registry, 40);
    expect(registry.get('pve1').presence).toBe('down');
    registry.hear(UID, SIGN);
    expect(told).toEqual(['joined>up', 'up>suspect', 'suspect>down', 'down>up']);
  });

  it('is not disturbed by a wall clock that jumps', async () => {
    const registry = open();
    registry.add(record());
    registry.hear(UID, SIGN);
    clock.stepWall(3_600_000);
    expect(registry.get(UID).presence).toBe('up');
    clock.stepWall(-7_200_000);
    await listen(registry, 20);
    expect(registry.get(UID).presence).toBe('suspect');
  });

  it('stays as it was while no controller ran, and is judged anew from the start on', async () => {
    const first = open();
    first.add(record());
    first.add(record({ uid: 'n-bbbbbbbbbbbbbbbb', name: 'pve2' }));
    first.hear(UID, SIGN);
    await listen(first, 40);
    first.hear('n-bbbbbbbbbbbbbbbb', SIGN);
    first.save();
    await clock.advance(3_600_000);
    const second = open();
    expect(second.list().map((node) => node.presence)).toEqual(['down', 'up']);
    await listen(second, 16);
    expect(second.list().map((node) => node.presence)).toEqual(['down', 'suspect']);
    second.hear(UID, { ...SIGN, generation: 7n, address: '10.0.0.9:7450' });
    expect(second.get(UID)).toMatchObject({ presence: 'up', generation: 7n, address: '10.0.0.9:7450' });
  });

  it('is remembered from the first sign of life on, however soon the controller is killed', () => {
    const first = open();
    first.add(record());
    first.hear(UID, SIGN);
    expect(open().get(UID).presence).toBe('up');
  });

  it('stays as it is while the bus is away', async () => {
    const registry = open();
    registry.add(record());
    registry.hear(UID, SIGN);
    await listen(registry, 10);
    await clock.advance(600_000);
    registry.sweep();
    expect([registry.isListening, registry.get(UID).presence]).toEqual([false, 'up']);
    await listen(registry, 4);
    expect([registry.isListening, registry.get(UID).presence]).toEqual([true, 'up']);
    await listen(registry, 4);
    expect(registry.get(UID).presence).toBe('suspect');
  });
});

describe('membership', () => {
  it('forgets a revoked node but never lets its uid speak again', () => {
    const registry = open();
    registry.add(record());
    registry.revoke('pve1');
    expect(registry.find('pve1')).toBeUndefined();
    expect(registry.hear(UID, SIGN)).toBe(false);
    expect(registry.isRevoked(UID)).toBe(true);
    expect(open().isRevoked(UID)).toBe(true);
    expect(() => registry.get('pve1')).toThrow(expect.objectContaining({ code: 'PXM_NODE_NOT_FOUND' }));
    registry.add(record({ uid: 'n-bbbbbbbbbbbbbbbb' }));
    expect(registry.get('pve1').uid).toBe('n-bbbbbbbbbbbbbbbb');
  });

  it('does not listen to strangers', () => {
    expect(open().hear('n-cccccccccccccccc', SIGN)).toBe(false);
  });
});
