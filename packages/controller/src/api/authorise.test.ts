import * as door from '@pxmgr/contract/controller';
import type { Identity, Role } from '@pxmgr/kit/rpc/identity';
import { describe, expect, it } from 'vitest';
import { authorise, RULES, shortMethod } from './authorise.ts';

/** What the contract defines, so that a new service cannot be left out; the join call has a door of its own. */
const SERVICES = Object.entries(door)
  .filter(([name]) => name.endsWith('ServiceService') && name !== 'JoinServiceService')
  .map(([, service]) => service as unknown as Readonly<Record<string, { readonly path: string }>>);
const METHODS = SERVICES.flatMap((service) => Object.values(service)).map((method) => method.path.slice(1));
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
      const expected = role === 'agent' ? [false, false, false] : [role === 'viewer', role !== 'admin', true];
      const found = (['viewer', 'operator', 'admin'] as const).map((one) => may(operator(one), method));
      expect(found, method).toEqual(expected);
    }
  });

  it('gives a viewer nothing that changes anything', () => {
    for (const [method, rule] of Object.entries(RULES))
      if (rule.mutates === true) expect(rule.role, method).not.toBe('viewer');
  });

  it('gives agents one call, and the controller itself none', () => {
    const agents = METHODS.filter((method) => may({ kind: 'agent', name: 'n-a' }, method));
    expect(agents.map(shortMethod)).toEqual(['FleetService/RenewNode']);
    expect(METHODS.filter((method) => may({ kind: 'controller', name: 'controller' }, method))).toEqual([]);
  });

  it('refuses a method nobody knows', () => {
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
