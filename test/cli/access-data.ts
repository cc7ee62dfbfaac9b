/** Operators and audit rows of the fleet that the golden screens show. */
import { AuditEntry, Operator } from '@pxmgr/contract/controller';
import { ago } from './fleet-data.ts';

const DAY = 86_400;

export const OPERATORS: readonly Operator[] = [
  Operator.fromPartial({
    name: 'ann',
    role: 'operator',
    serial: '5f0c1a9be2d34477a1b2c3d4e5f60718',
    createdAt: ago(3 * DAY),
    expiresAt: ago(-362 * DAY),
    createdBy: 'operator:root',
  }),
  Operator.fromPartial({
    name: 'bob',
    role: 'admin',
    serial: '4e0c1a9be2d34477a1b2c3d4e5f60719',
    createdAt: ago(30 * DAY),
    expiresAt: ago(-335 * DAY),
    revokedAt: ago(2 * DAY),
    createdBy: 'operator:ann',
  }),
];

export const AUDIT: readonly AuditEntry[] = [
  AuditEntry.fromPartial({
    id: 12n,
    at: ago(60),
    identity: 'operator:bob',
    method: 'FleetService/ListNodes',
    outcome: 'PXM_AUTH_REVOKED',
  }),
  AuditEntry.fromPartial({
    id: 11n,
    at: ago(2 * DAY),
    identity: 'operator:root',
    method: 'AccessService/RevokeOperator',
    target: 'bob',
    outcome: 'OK',
  }),
];
