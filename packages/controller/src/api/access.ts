import { limits } from '@pxmgr/contract';
import type { AccessServiceService, AuditEntry, ListAuditRequest, Operator } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { identityText } from '@pxmgr/kit/rpc/identity';
import type { OperatorRecord, Operators } from '../fleet/operators.ts';
import type { AuditQuery, AuditRecord } from '../store/audit.ts';

export interface AccessParts {
  readonly operators: Operators;
  readonly caCertificate: string;
  readonly controllerAddress: () => string;
  /** Ends running calls of whoever is revoked by now. */
  readonly cut: () => void;
  readonly audit: { list(query: AuditQuery): AuditRecord[] };
}

/** Who may come in, and who did what. */
export function accessService(parts: AccessParts): Implementation<typeof AccessServiceService> {
  const { operators } = parts;
  return {
    createOperator: async (request, { identity }) => {
      const made = await operators.create({ ...request, actor: identityText(identity) });
      return {
        operator: toOperator(made.operator),
        certificate: made.certificate,
        caCertificate: parts.caCertificate,
        controllerAddress: parts.controllerAddress(),
      };
    },
    listOperators: async ({ all }) => await Promise.resolve({ operators: operators.list(all).map(toOperator) }),
    revokeOperator: async ({ name }) => {
      const revoked = operators.revoke(name);
      parts.cut();
      return await Promise.resolve({ operators: revoked.map(toOperator) });
    },
    listAudit: async (request) => await Promise.resolve({ entries: parts.audit.list(toQuery(request)).map(toEntry) }),
  };
}

function toOperator(record: OperatorRecord): Operator {
  return { ...record };
}

function toEntry(record: AuditRecord): AuditEntry {
  return { ...record };
}

function toQuery(request: ListAuditRequest): AuditQuery {
  const { since, until } = request;
  if (since !== undefined && until !== undefined && since >= until)
    throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems: 'since must be before until' });
  return {
    identity: request.identity || undefined,
    isRefusedOnly: request.refusedOnly,
    since,
    until,
    limit: Math.min(request.limit || limits.HISTORY_ROWS_DEFAULT, limits.HISTORY_ROWS_MAX),
    beforeId: request.beforeId === 0n ? undefined : request.beforeId,
  };
}
