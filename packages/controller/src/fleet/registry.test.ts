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

describe('presence', () => {
  it('goes from joined over up and suspect to down, and back, each told once', async () => {
    const registry = open();
    registry.add(record());
    const told: string[] = [];
    registry.onPresence((node, before) => told.push(`${before}>${node.presence}`));
    expect(registry.get('pve1').presence).toBe('joined');
    registry.hear(UID, SIGN);
    for (let second = 0; second < 40; second += 1) {
      await clock.advance(1000);
      registry.sweep();
    }
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
    await clock.advance(20_000);
    expect(registry.get(UID).presence).toBe('suspect');
  });

  it('judges by the stored time after a restart, until the first heartbeat', async () => {
    const first = open();
    first.add(record());
    first.hear(UID, SIGN);
    first.save();
    await clock.advance(60_000);
    const second = open();
    expect(second.get(UID).presence).toBe('down');
    second.hear(UID, { ...SIGN, generation: 7n, address: '10.0.0.9:7450' });
    expect(second.get(UID)).toMatchObject({ presence: 'up', generation: 7n, address: '10.0.0.9:7450' });
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
