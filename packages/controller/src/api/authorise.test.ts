import {
  ChangeServiceService,
  FleetServiceService,
  GuestServiceService,
  InventoryServiceService,
  OperationServiceService,
  PlacementServiceService,
} from '@pxmgr/contract/controller';
import type { Identity, Role } from '@pxmgr/kit/rpc/identity';
import { describe, expect, it } from 'vitest';
import { authorise, RULES, shortMethod } from './authorise.ts';

const SERVICES = [
  FleetServiceService,
  InventoryServiceService,
  ChangeServiceService,
  GuestServiceService,
  PlacementServiceService,
  OperationServiceService,
];
const METHODS = SERVICES.flatMap((service) => Object.values<{ readonly path: string }>(service)).map((method) =>
  method.path.slice(1),
);
const operator = (role: Role): Identity => ({ kind: 'operator', name: 'anna', role });

function may(identity: Identity, method: string): boolean {
  try {
    authorise(identity, method);
    return true;
  } catch {
    return false;
  }
}

describe('authorise', () => {
  it('has a rule for every method, and none for others', () => {
    expect(METHODS.map(shortMethod).sort()).toEqual(Object.keys(RULES).sort());
  });

  it('lets each role do what its table says and what lower roles may', () => {
    for (const method of METHODS) {
      const role = RULES[shortMethod(method)]?.role;
      expect(
        [may(operator('viewer'), method), may(operator('operator'), method), may(operator('admin'), method)],
        method,
      ).toEqual([role === 'viewer', role !== 'admin', true]);
    }
  });

  it('gives a viewer nothing that changes anything', () => {
    for (const [method, rule] of Object.entries(RULES))
      if (rule.mutates === true) expect(rule.role, method).not.toBe('viewer');
  });

  it('refuses agents, the controller itself, and methods nobody knows', () => {
    for (const method of METHODS) {
      expect(may({ kind: 'agent', name: 'n-a' }, method), method).toBe(false);
      expect(may({ kind: 'controller', name: 'controller' }, method), method).toBe(false);
    }
    expect(() => authorise(operator('admin'), 'pxmgr.controller.v1.FleetService/Explode')).toThrow(
      expect.objectContaining({ code: 'PXM_FORBIDDEN' }),
    );
  });

  it('names who, what and the role that is needed', () => {
    expect(() => authorise(operator('viewer'), 'pxmgr.controller.v1.FleetService/RevokeNode')).toThrow(
      /operator:anna may not call FleetService\/RevokeNode/,
    );
  });
});
