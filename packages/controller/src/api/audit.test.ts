import { FakeClock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Identity } from '@pxmgr/kit/rpc/identity';
import { expect, it } from 'vitest';
import { type AuditEntry, AuditStore } from '../store/audit.ts';
import { openDatabase } from '../store/open.ts';
import { Auditor } from './audit.ts';

const EVE: Identity = { kind: 'operator', name: 'eve', role: 'viewer' };
const BOB: Identity = { kind: 'operator', name: 'bob', role: 'viewer' };

it('has the row of a call before the call does anything, and says of one that was cut off that its end is unknown', () => {
  const database = openDatabase(':memory:');
  const store = new AuditStore(database);
  const auditor = new Auditor(store, new FakeClock());
  const outcomes = (isRefusedOnly: boolean): string[] => {
    const all = { identity: undefined, isRefusedOnly, since: undefined, until: undefined, beforeId: undefined };
    return store.list({ ...all, limit: 10 }).map(({ target, outcome }) => `${target} ${outcome}`);
  };
  const method = 'FleetService/RevokeNode';
  const end = auditor.begin(EVE, { method, target: 'pve1' });
  auditor.begin(EVE, { method, target: 'pve2' });
  expect(outcomes(false)).toEqual(['pve2 RUNNING', 'pve1 RUNNING']);
  expect(outcomes(true)).toEqual([]);
  end('OK');
  expect(store.endInterrupted()).toBe(1);
  expect(outcomes(false)).toEqual(['pve2 UNKNOWN', 'pve1 OK']);
  expect(outcomes(true)).toEqual(['pve2 UNKNOWN']);
  database.close();
});

it('writes refusals with who, what and why, but a caller who goes on and on fills nothing', async () => {
  const rows: AuditEntry[] = [];
  const clock = new FakeClock();
  const auditor = new Auditor({ insert: (entry) => rows.push(entry), begin: () => 0n, end: () => undefined }, clock);
  const refuse = (identity: Identity): void => {
    const method = 'pxmgr.controller.v1.FleetService/RevokeNode';
    auditor.refused({ identity, method, error: new PxmError('PXM_AUTH_REVOKED', { identity: identity.name }) });
  };
  for (let times = 0; times < 1000; times += 1) refuse(EVE);
  expect(rows).toHaveLength(60);
  expect(rows[0]).toEqual({
    at: clock.now(),
    identity: 'operator:eve',
    method: 'FleetService/RevokeNode',
    target: '',
    outcome: 'PXM_AUTH_REVOKED',
  });
  expect(rows.map((row) => row.target).filter((target) => target !== '')).toEqual([rows[59]?.target]);
  expect(rows[59]?.target).toMatch(/further refusals .* not written/);
  refuse(BOB);
  expect(rows[60]?.identity).toBe('operator:bob');
  await clock.advance(60_000);
  refuse(EVE);
  expect(rows).toHaveLength(62);
});
