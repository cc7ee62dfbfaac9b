import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { type Identity, identityText } from '@pxmgr/kit/rpc/identity';

/** An agent takes orders from its controller alone, and from root on its own machine. */
export function authoriseAgentCall(identity: Identity, method: string): void {
  if (identity.kind === 'controller') return;
  if (identity.kind === 'operator' && identity.name === 'root' && identity.serial === undefined) return;
  throw new PxmError('PXM_FORBIDDEN', { identity: identityText(identity), method, role: 'controller' });
}
