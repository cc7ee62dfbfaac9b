import { describe, expect, it } from 'vitest';
import { containerDocument, createTestInventory } from '../inventory/inventory.fixture.ts';
import { AuditStore } from '../store/audit.ts';
import { TokenStore } from '../store/tokens.ts';
import type { Loop } from './driver.ts';
import { fleetLoops } from './loops.ts';

const DAY_MS = 86_400_000;

function make() {
  const test = createTestInventory();
  const purged: string[] = [];
  const parts = {
    ...test,
    audit: new AuditStore(test.database),
    tokens: new TokenStore(test.database),
    busAnswers: async () => await Promise.resolve(true),
    purge: async (subject: string) => {
      purged.push(subject);
      await Promise.resolve();
    },
    changeRetentionMs: 10 * DAY_MS,
    auditRetentionMs: 20 * DAY_MS,
  };
  const loops = fleetLoops(parts);
  const run = async (name: string): Promise<void> => {
    const loop: Loop | undefined = loops.find((one) => one.name === name);
    await loop?.run(new AbortController().signal);
  };
  return { ...parts, purged, run, loops };
}

const ALL_AUDIT = {
  identity: undefined,
  isRefusedOnly: false,
  since: undefined,
  until: undefined,
  beforeId: undefined,
  limit: 10,
};

describe('the loops', () => {
  it('have distinct names and say what they do', () => {
    const { loops } = make();
    expect(new Set(loops.map((loop) => loop.name)).size).toBe(loops.length);
    for (const loop of loops) expect(loop.description).not.toBe('');
  });

  it('keep tombstones for a day, then remove them from the stream and the database', async () => {
    const test = make();
    test.deliver(
      test.alice.say('container', '101', containerDocument(101)),
      test.alice.gone('container', '101', { observedAt: test.clock.now() }),
    );
    await test.run('tombstones');
    expect(test.purged).toEqual([]);
    await test.clock.advance(2 * DAY_MS);
    await test.run('tombstones');
    expect(test.purged).toHaveLength(1);
    expect(test.objects.get({ nodeUid: test.alice.uid, kind: 'container', id: '101' })).toBeUndefined();
  });

  it('remove what is older than its retention and nothing else', async () => {
    const test = make();
    const entry = { identity: 'operator:anna', method: 'FleetService/CreateToken', target: '', outcome: 'OK' };
    test.deliver(test.alice.say('container', '101', containerDocument(101)));
    test.audit.insert({ ...entry, at: test.clock.now() });
    await test.clock.advance(15 * DAY_MS);
    test.deliver(test.alice.say('container', '102', containerDocument(102)));
    for (const name of ['changes', 'audit']) await test.run(name);
    expect(test.summaries()).toEqual(['container 102 created: created']);
    expect(test.audit.list(ALL_AUDIT)).toHaveLength(1);
    await test.clock.advance(15 * DAY_MS);
    for (const name of ['changes', 'audit']) await test.run(name);
    expect(test.summaries()).toEqual([]);
    expect(test.audit.list(ALL_AUDIT)).toEqual([]);
  });

  it('remember used tokens long enough to tell a replay from a guess', async () => {
    const test = make();
    const now = test.clock.now();
    const token = { hash: 'h', nodeName: undefined, createdAt: now, expiresAt: now, actor: 'operator:anna' };
    test.tokens.insert(token);
    const use = (nodeUid: string, key: string): boolean => test.tokens.use('h', now, { nodeUid, key });
    expect([use('n-a', 'k'), use('n-b', 'k'), use('n-a', 'other'), use('n-a', 'k')]).toEqual([
      true,
      false,
      false,
      true,
    ]);
    await test.clock.advance(7 * DAY_MS);
    await test.run('tokens');
    expect(test.tokens.find('h')?.usedAt).toEqual(now);
    await test.clock.advance(30 * DAY_MS);
    await test.run('tokens');
    expect(test.tokens.find('h')).toBeUndefined();
  });
});
