import { limits } from '@pxmgr/contract';
import type { Change, ChangeServiceService, ListChangesRequest } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import type { ChangeQuery, ChangeRecord } from '../domain/change.ts';
import type { ChangeStore } from '../store/changes.ts';

/** The history of the fleet. */
export function changeService(changes: ChangeStore): Implementation<typeof ChangeServiceService> {
  return {
    listChanges: async (request) => await Promise.resolve({ changes: changes.list(toQuery(request)).map(toChange) }),
    getChange: async ({ id }) => {
      const found = changes.get(id);
      if (found === undefined) throw new PxmError('PXM_CHANGE_NOT_FOUND', { change: String(id) });
      return await Promise.resolve({ change: toChange(found) });
    },
  };
}

function toQuery(request: ListChangesRequest): ChangeQuery {
  const { since, until } = request;
  if (since !== undefined && until !== undefined && since >= until) {
    throw new PxmError('PXM_INPUT_INVALID', { count: '1', problems: 'since must be before until' });
  }
  return {
    node: request.node || undefined,
    kind: request.kind || undefined,
    object: request.object || undefined,
    since,
    until,
    limit: Math.min(request.limit || limits.HISTORY_ROWS_DEFAULT, limits.HISTORY_ROWS_MAX),
    beforeId: request.beforeId === 0n ? undefined : request.beforeId,
  };
}

function toChange(record: ChangeRecord): Change {
  return { ...record, fields: record.fields.map((field) => ({ ...field })) };
}
