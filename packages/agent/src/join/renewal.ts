/**
 * The identity is renewed at two thirds of its life: new key, certificate and bus credentials over the door that the old
 * certificate still opens. Work goes on meanwhile: what fails is tried again, and the old identity stays until the new
 * one is on disk.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { RenewNodeResponse } from '@pxmgr/contract/controller';
import { FleetServiceClient } from '@pxmgr/contract/controller';
import type { Clock } from '@pxmgr/kit/clock';
import type { Logger } from '@pxmgr/kit/log/logger';
import { createCsr } from '@pxmgr/kit/pki/csr';
import { createChannel } from '@pxmgr/kit/rpc/channel';
import { identityOf } from '@pxmgr/kit/rpc/identity';
import type { Identity } from './identity.ts';
import { certificateLife, writeIdentity } from './identity.ts';

export interface RenewalParts {
  readonly stateDir: string;
  readonly identity: Identity;
  /** Puts the new identity to use; called after it is on disk. */
  readonly apply: (identity: Identity) => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** 0 to 1, for the jitter. */
  readonly random?: () => number;
}

/** Nodes that joined in one go do not all come back in one moment: up to this share of the life later. */
const JITTER_SHARE = 0.05;
/** Wall clocks are set, machines sleep: the time is looked at again at least this often. */
const LONGEST_SLEEP_MS = 3_600_000;
const FIRST_RETRY_MS = 30_000;
const LONGEST_RETRY_MS = 3_600_000;
const CALL_LIMIT_MS = 30_000;

export class Renewal {
  readonly #parts: RenewalParts;
  readonly #random: () => number;
  #identity: Identity;

  constructor(parts: RenewalParts) {
    this.#parts = parts;
    this.#identity = parts.identity;
    this.#random = parts.random ?? Math.random;
  }

  /** Works until the signal; never rejects. A certificate that is due already is renewed at once. */
  async run(signal: AbortSignal): Promise<void> {
    const isDue = this.#dueAt(0) <= this.#parts.clock.now().getTime();
    let dueAt = this.#dueAt(isDue ? 0 : this.#random());
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      const waitMs = dueAt - this.#parts.clock.now().getTime();
      if (waitMs > 0) {
        await this.#sleep(Math.min(waitMs, LONGEST_SLEEP_MS), signal);
      } else if (await this.#tryOnce(signal)) {
        dueAt = this.#dueAt(this.#random());
        retryMs = FIRST_RETRY_MS;
      } else {
        await this.#sleep(retryMs * (0.5 + this.#random()), signal);
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
  }

  #dueAt(jitter: number): number {
    const { from, to } = certificateLife(this.#identity);
    const lifeMs = to.getTime() - from.getTime();
    return from.getTime() + lifeMs * (2 / 3 + JITTER_SHARE * jitter);
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    // Only the signal ends a sleep early, and then the loop ends.
    await this.#parts.clock.sleep(ms, signal).catch(() => undefined);
  }

  async #tryOnce(signal: AbortSignal): Promise<boolean> {
    const { stateDir, apply, logger } = this.#parts;
    try {
      const renewed = await renew(this.#identity, signal);
      await writeIdentity(stateDir, renewed);
      this.#identity = renewed;
      apply(renewed);
      logger.info({ end: certificateLife(renewed).to }, 'certificate and bus credentials renewed');
      return true;
    } catch (error) {
      const end = certificateLife(this.#identity).to;
      if (!signal.aborted)
        logger.warn({ err: error, end }, 'certificate could not be renewed; after its end this node has to join again');
      return false;
    }
  }
}

async function renew(identity: Identity, signal: AbortSignal): Promise<Identity> {
  const csr = await createCsr({ commonName: identity.nodeName });
  const channel = createChannel({
    address: identity.controllerAddress,
    tls: { ca: identity.caCertificate, cert: identity.certificate, key: identity.privateKey },
    peer: { kind: 'controller' },
  });
  try {
    const options = { deadlineMs: CALL_LIMIT_MS, signal };
    const request = { certificateRequest: csr.request };
    const answer = await channel.call(channel.client(FleetServiceClient), 'renewNode', request, options);
    const problem = problemOf(answer, csr.privateKey, identity.nodeUid);
    if (problem !== undefined) throw new Error(`the controller's answer is of no use: ${problem}`);
    return {
      ...identity,
      certificate: answer.certificate,
      caCertificate: answer.caCertificate,
      privateKey: csr.privateKey,
      natsJwt: answer.natsJwt,
      natsUrl: answer.natsUrl,
    };
  } finally {
    channel.close();
  }
}

/** An identity that cannot work must not replace one that does. */
function problemOf(answer: RenewNodeResponse, privateKey: string, nodeUid: string): string | undefined {
  if (answer.natsJwt === '' || answer.natsUrl === '') return 'it has no bus credentials';
  const certificate = new X509Certificate(answer.certificate);
  const ca = new X509Certificate(answer.caCertificate);
  if (!certificate.checkPrivateKey(createPrivateKey(privateKey))) return 'the certificate is for another key';
  if (!certificate.checkIssued(ca) || !certificate.verify(ca.publicKey)) return 'the CA did not sign the certificate';
  const found = identityOf(certificate.raw);
  return found?.kind === 'agent' && found.name === nodeUid ? undefined : 'the certificate is for somebody else';
}
