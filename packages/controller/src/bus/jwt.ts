import { encodeAccount, encodeOperator, encodeUser, newScopedSigner } from '@nats-io/jwt';
import type { KeyPair } from '@nats-io/nkeys';
import { fromPublic } from '@nats-io/nkeys';
import { AGENT_PERMISSIONS } from '@pxmgr/contract';
import type { BusKeys } from './keys.ts';

/** -1 = no limit. The encoder turns what is left out into 0, which the server reads as "none at all". */
const NO_LIMITS = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
} as const;
const JETSTREAM = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 } as const;
const USER_LIMITS = { subs: -1, data: -1, payload: -1 } as const;

/** Public user nkey -> time (seconds) up to which its credentials are void. */
export type Revocations = Readonly<Record<string, number>>;

export async function operatorJwt(keys: BusKeys): Promise<string> {
  return await encodeOperator('pxmgr', keys.operator, { system_account: keys.system.getPublicKey() });
}

export async function systemAccountJwt(keys: BusKeys): Promise<string> {
  return await encodeAccount('SYS', keys.system, { limits: { ...NO_LIMITS } }, { signer: keys.operator });
}

/** The whole account each time: what an update leaves out is removed on the server. */
export async function fleetAccountJwt(keys: BusKeys, revocations: Revocations): Promise<string> {
  const template = {
    pub: { allow: [...AGENT_PERMISSIONS.publish] },
    sub: { allow: [...AGENT_PERMISSIONS.subscribe] },
    // Answers to one command at a time, without the right to publish anywhere.
    resp: { max: 1, ttl: 0 },
    ...USER_LIMITS,
  };
  const account = {
    limits: { ...NO_LIMITS, ...JETSTREAM },
    signing_keys: [newScopedSigner(keys.agentRole, 'agent', template)],
    revocations: { ...revocations },
  };
  return await encodeAccount('PX', keys.fleet, account, { signer: keys.operator });
}

/** Full rights inside the fleet account. */
export async function controllerUserJwt(keys: BusKeys): Promise<string> {
  return await encodeUser('controller', keys.controllerUser, keys.fleet, { ...USER_LIMITS });
}

/** Only to hand the server a new account JWT. */
export async function systemUserJwt(keys: BusKeys): Promise<string> {
  return await encodeUser('controller-sys', keys.systemUser, keys.system, { ...USER_LIMITS });
}

/** Signs agents into the fleet account; the name becomes `{{name()}}` of the permission template. */
export interface AgentSigner {
  readonly role: KeyPair;
  /** Public key of the account. */
  readonly account: string;
}

export interface AgentUser {
  readonly nodeUid: string;
  readonly publicKey: string;
  readonly expiresAt: Date;
}

export async function agentUserJwt(signer: AgentSigner, { nodeUid, publicKey, expiresAt }: AgentUser): Promise<string> {
  const exp = Math.floor(expiresAt.getTime() / 1000);
  return await encodeUser(
    nodeUid,
    fromPublic(publicKey),
    fromPublic(signer.account),
    {},
    { signer: signer.role, scopedUser: true, exp },
  );
}

/** True for a public user nkey ("U...") with a right checksum. */
export function isUserPublicKey(text: string): boolean {
  if (!text.startsWith('U')) return false;
  try {
    fromPublic(text);
    return true;
  } catch {
    // The library throws for every malformed key; the answer is no.
    return false;
  }
}
