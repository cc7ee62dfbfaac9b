import { FakeClock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Identity } from '@pxmgr/kit/rpc/identity';
import { expect, it } from 'vitest';
import type { AuditEntry } from '../store/audit.ts';
import { Auditor } from './audit.ts';

const EVE: Identity = { kind: 'operator', name: 'eve', role: 'viewer' };
const BOB: Identity = { kind: 'operator', name: 'bob', role: 'viewer' };

it('writes refusals with who, what and why, but a caller who goes on and on fills nothing', async () => {
  const rows: AuditEntry[] = [];
  const clock = new FakeClock();
  const auditor = new Auditor({ insert: (entry) => rows.push(entry) }, clock);
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
