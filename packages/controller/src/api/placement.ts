import { limits } from '@pxmgr/contract';
import { ContainerSpec } from '@pxmgr/contract/common';
import { PlacementConstraints, type PlacementServiceService, type Reservation } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import type { Implementation } from '@pxmgr/kit/rpc/handlers';
import { identityText } from '@pxmgr/kit/rpc/identity';
import type { ReservationRecord } from '../domain/reservation.ts';
import { hideValues } from '../domain/spec-secrets.ts';
import type { Work } from '../execute/work.ts';

/** Only translation: a missing message means an empty one, records become messages. */
export function placementService(work: Work): Implementation<typeof PlacementServiceService> {
  return {
    evaluatePlacement: async ({ spec, constraints }) => ({
      evaluation: hideValues(await work.planner.evaluate(specOf(spec), constraintsOf(constraints))),
    }),
    getEvaluation: async ({ id }) => {
      const evaluation = work.records.evaluations.find(id);
      if (evaluation === undefined) throw new PxmError('PXM_EVALUATION_NOT_FOUND', { id });
      return await Promise.resolve({ evaluation });
    },
    planContainer: async (request, context) => {
      const { plan, evaluation } = await work.planner.planContainer({
        ...request,
        spec: specOf(request.spec),
        constraints: constraintsOf(request.constraints),
        actor: identityText(context.identity),
      });
      return { plan: hideValues(plan), evaluation: hideValues(evaluation) };
    },
    planAction: async (request, context) => ({
      plan: await work.actions.plan({ ...request, actor: identityText(context.identity) }),
    }),
    applyPlan: async ({ planId }) => await Promise.resolve({ operation: work.executor.apply(planId) }),
    listReservations: async ({ all }) => {
      const { reservations } = work.records;
      const records = all ? reservations.list(limits.PAGE_SIZE_DEFAULT) : reservations.active();
      return await Promise.resolve({ reservations: records.map(reservationMessage) });
    },
  };
}

function specOf(spec: ContainerSpec | undefined): ContainerSpec {
  return spec ?? ContainerSpec.fromPartial({});
}

function constraintsOf(constraints: PlacementConstraints | undefined): PlacementConstraints {
  return constraints ?? PlacementConstraints.fromPartial({});
}

/** Several pools are named together, with the sum of their bytes. */
function reservationMessage(record: ReservationRecord): Reservation {
  return {
    id: record.id,
    nodeUid: record.nodeUid,
    nodeName: record.nodeName,
    vmid: record.vmid,
    memoryBytes: BigInt(record.memoryBytes),
    cpuCores: record.cpuCores,
    storage: record.pools.map((pool) => pool.storage).join(', '),
    storageBytes: BigInt(record.pools.reduce((sum, pool) => sum + pool.bytes, 0)),
    devices: record.devices.map((device) => device.device),
    planId: record.planId,
    state: record.state,
    createdAt: new Date(record.createdMs),
    expiresAt: new Date(record.expiresMs),
    endedAt: record.endedMs === 0 ? undefined : new Date(record.endedMs),
    actor: record.actor,
    fencingToken: BigInt(record.fencingToken),
    endReason: record.endReason,
    title: record.title,
  };
}
