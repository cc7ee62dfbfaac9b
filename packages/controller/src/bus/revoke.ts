import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { silentLogger } from '@pxmgr/kit/log/logger';
import type { BusAddress } from './connect.ts';
import { connectBus } from './connect.ts';
import { fleetAccountJwt, type Revocations, systemUserJwt } from './jwt.ts';
import type { BusKeys } from './keys.ts';

interface ClaimsAnswer {
  readonly data?: { readonly code?: number };
  readonly error?: { readonly description?: string };
}

/** Hands the running server an account JWT with revocations; connections of the revoked users are closed by it. */
export class Revoker {
  readonly #keys: BusKeys;
  readonly #address: BusAddress;

  constructor(keys: BusKeys, address: BusAddress) {
    this.#keys = keys;
    this.#address = address;
  }

  /** `revocations` is the whole list: what it leaves out is allowed again. Errors: PXM_NATS_DOWN. */
  async revoke(revocations: Revocations): Promise<void> {
    const account = await fleetAccountJwt(this.#keys, revocations);
    const user = {
      name: 'controller-sys',
      jwt: await systemUserJwt(this.#keys),
      keys: this.#keys.systemUser,
    };
    const connection = await connectBus(this.#address, user, silentLogger());
    try {
      const answer = (
        await connection.request('$SYS.REQ.CLAIMS.UPDATE', account, { timeout: 5000 })
      ).json<ClaimsAnswer>();
      if (answer.data?.code === 200) return;
      throw new PxmError(
        'PXM_NATS_DOWN',
        { url: this.#address.url },
        { detail: `it refused the new account: ${answer.error?.description ?? 'no reason given'}` },
      );
    } finally {
      await connection.close();
    }
  }
}
