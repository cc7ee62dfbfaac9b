/** Addresses of our listeners, and the name under which they are greeted. */
import { PxmError } from '../error/pxm-error.ts';

/** Sent as SNI instead of addresses; identities are in the SAN URI and names decide nothing. */
export const SERVER_NAME = 'pxmgr.internal';

/** "host:port" and "[v6]:port". Errors: PXM_NAME_INVALID. */
export function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined)
    throw new PxmError('PXM_NAME_INVALID', { what: 'address', name: address, reason: 'it must be host:port' });
  return { host, port: Number(match?.[3]) };
}
