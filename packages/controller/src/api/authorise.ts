/**
 * api/: gRPC services of the controller. Only translation: identity and request in, a call into a lower room, answer
 * out. Who may call what stands in one table here; every call that changes something leaves an audit row.
 */
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { type Identity, identityText, type Role } from '@pxmgr/kit/rpc/identity';

export interface MethodRule {
  /** Least role of an operator; `agent` = only agents, each for itself. */
  readonly role: Role | 'agent';
  /** Changes something: leaves an audit row. */
  readonly mutates?: true;
}

/** Every method of every service behind certificates. Agents have one call there: they speak over the bus. */
export const RULES: Readonly<Record<string, MethodRule>> = {
  'FleetService/GetStatus': { role: 'viewer' },
  'FleetService/ListNodes': { role: 'viewer' },
  'FleetService/GetNode': { role: 'viewer' },
  'FleetService/CreateToken': { role: 'admin', mutates: true },
  'FleetService/RevokeNode': { role: 'admin', mutates: true },
  'FleetService/RunSelftest': { role: 'viewer' },
  'FleetService/RenewNode': { role: 'agent', mutates: true },
  'AccessService/CreateOperator': { role: 'admin', mutates: true },
  'AccessService/ListOperators': { role: 'admin' },
  'AccessService/RevokeOperator': { role: 'admin', mutates: true },
  'AccessService/ListAudit': { role: 'admin' },
  'InventoryService/ListInventory': { role: 'viewer' },
  'InventoryService/GetInventory': { role: 'viewer' },
  'InventoryService/WatchInventory': { role: 'viewer' },
  'ChangeService/ListChanges': { role: 'viewer' },
  'ChangeService/GetChange': { role: 'viewer' },
  'GuestService/ExecGuest': { role: 'operator', mutates: true },
  'GuestService/InspectImage': { role: 'viewer' },
  'PlacementService/EvaluatePlacement': { role: 'viewer' },
  'PlacementService/GetEvaluation': { role: 'viewer' },
  'PlacementService/PlanContainer': { role: 'operator', mutates: true },
  'PlacementService/PlanAction': { role: 'operator', mutates: true },
  'PlacementService/ApplyPlan': { role: 'operator', mutates: true },
  'PlacementService/ListReservations': { role: 'viewer' },
  'OperationService/GetOperation': { role: 'viewer' },
  'OperationService/ListOperations': { role: 'viewer' },
  'OperationService/WatchOperation': { role: 'viewer' },
  'OperationService/CancelOperation': { role: 'operator', mutates: true },
};

const RANK: Readonly<Record<Role, number>> = { viewer: 1, operator: 2, admin: 3 };

/** "pxmgr.controller.v1.FleetService/GetStatus" -> "FleetService/GetStatus". */
export function shortMethod(method: string): string {
  return method.slice(method.lastIndexOf('.') + 1);
}

/** Throws PXM_FORBIDDEN. A method that is not in the table is refused to everybody. */
export function authorise(identity: Identity, method: string): void {
  const rule = RULES[shortMethod(method)];
  if (rule !== undefined && mayCall(identity, rule)) return;
  throw new PxmError('PXM_FORBIDDEN', {
    identity: identityText(identity),
    method: shortMethod(method),
    role: rule?.role ?? 'admin',
  });
}

function mayCall(identity: Identity, { role }: MethodRule): boolean {
  if (role === 'agent') return identity.kind === 'agent';
  return identity.kind === 'operator' && RANK[identity.role ?? 'viewer'] >= RANK[role];
}
