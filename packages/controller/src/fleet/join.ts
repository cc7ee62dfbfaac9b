import { createHash } from 'node:crypto';
import { CONTRACT_VERSION, mayTalk, parseNodeName } from '@pxmgr/contract';
import type { JoinNodeRequest, JoinNodeResponse, RenewNodeResponse } from '@pxmgr/contract/controller';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { publicKeyHash, validityOf } from '@pxmgr/kit/pki/certificate';
import { splitAddress } from '@pxmgr/kit/rpc/address';
import type { Pki } from './pki.ts';
import type { Registry } from './registry.ts';
import { agentTermFrom } from './terms.ts';
import type { Tokens } from './tokens.ts';

/** What the bus adds to an identity. */
export interface BusDoor {
  /** Address that agents connect to. */
  readonly url: () => string;
  /** Credentials confined to the node's own subjects. */
  issueJwt(nodeUid: string, publicKey: string, expiresAt: Date): Promise<string>;
  isUserKey(text: string): boolean;
}

export interface JoiningOptions {
  readonly tokens: Tokens;
  readonly pki: Pki;
  readonly registry: Registry;
  readonly bus: BusDoor;
  readonly clock: Clock;
  /** host:port of the gRPC listener for agents. */
  readonly controllerAddress: () => string;
  /** Runs writes that must stand or fall together. */
  readonly transaction: <T>(work: () => T) => T;
  /** Told in the same transaction: what is booked is also told of. */
  readonly onJoin: (nodeUid: string, nodeName: string) => void;
}

/** A token becomes an identity: certificate, bus credentials, a place in the registry. */
export class Joining {
  readonly #options: JoiningOptions;

  constructor(options: JoiningOptions) {
    this.#options = options;
  }

  /**
   * The token is used up only when everything else is right. The same node with the same keys gets an answer again while
   * the token lives. Errors: PXM_INPUT_INVALID (all problems at once),
   * PXM_CONTRACT_MISMATCH, PXM_TOKEN_*, PXM_AUTH_REVOKED, PXM_NODE_NAME_TAKEN.
   */
  async join(request: JoinNodeRequest): Promise<JoinNodeResponse> {
    const { tokens, pki, bus, clock, controllerAddress } = this.#options;
    this.#check(request);
    const uid = nodeUidFrom(request.natsPublicKey);
    const token = tokens.check(request.secret, { nodeUid: uid, nodeName: request.nodeName });
    this.#checkPlace(uid, request.nodeName);
    if (token.usedAt !== undefined && this.#options.registry.find(uid)?.name !== request.nodeName)
      throw new PxmError('PXM_TOKEN_USED');
    const certificate = await pki.signAgent(request.certificateRequest, uid, request.nodeName);
    const jwt = await bus.issueJwt(uid, request.natsPublicKey, agentTermFrom(clock.now()));
    this.#options.transaction(() => {
      // Again: two nodes may have asked for one name while the signatures were made.
      this.#checkPlace(uid, request.nodeName);
      tokens.use(token, { nodeUid: uid, key: publicKeyHash(certificate) });
      this.#register(uid, request, certificate);
      this.#options.onJoin(uid, request.nodeName);
    });
    return {
      nodeUid: uid,
      certificate,
      caCertificate: pki.caCertificate,
      natsUrl: bus.url(),
      natsJwt: jwt,
      controllerAddress: controllerAddress(),
    };
  }

  /**
   * New certificate and bus credentials for a member whose certificate still holds. Errors: PXM_NODE_NOT_FOUND,
   * PXM_INPUT_INVALID.
   */
  async renew(nodeUid: string, certificateRequest: string): Promise<RenewNodeResponse> {
    const { pki, bus, clock, registry } = this.#options;
    const node = registry.get(nodeUid);
    const certificate = await pki.signAgent(certificateRequest, node.uid, node.name);
    const natsJwt = await bus.issueJwt(node.uid, node.natsPublicKey, agentTermFrom(clock.now()));
    const { serial, notAfter } = validityOf(certificate);
    // Asked again: it may have been revoked while the signatures were made.
    registry.add({ ...registry.get(nodeUid), certificateSerial: serial, certificateExpiresAt: notAfter });
    return { certificate, caCertificate: pki.caCertificate, natsJwt, natsUrl: bus.url() };
  }

  #check(request: JoinNodeRequest): void {
    if (!mayTalk(CONTRACT_VERSION, request.contractVersion)) {
      throw new PxmError('PXM_CONTRACT_MISMATCH', {
        peer: `the agent on ${request.nodeName}`,
        theirs: String(request.contractVersion),
        ours: String(CONTRACT_VERSION),
      });
    }
    const problems: string[] = [];
    const name = parseNodeName(request.nodeName);
    if (!name.ok) problems.push(`node_name ${name.reason}`);
    if (!this.#options.bus.isUserKey(request.natsPublicKey)) problems.push('nats_public_key is not a public user key');
    if (!isAddress(request.agentAddress)) problems.push('agent_address must be host:port');
    if (problems.length > 0)
      throw new PxmError('PXM_INPUT_INVALID', { count: String(problems.length), problems: problems.join('; ') });
  }

  #checkPlace(uid: string, nodeName: string): void {
    const { registry } = this.#options;
    if (registry.isRevoked(uid))
      throw new PxmError(
        'PXM_AUTH_REVOKED',
        { identity: `agent:${uid}` },
        { hint: 'make new keys: join again with --force' },
      );
    const holder = registry.find(nodeName);
    if (holder !== undefined && holder.uid !== uid) throw new PxmError('PXM_NODE_NAME_TAKEN', { node: nodeName });
  }

  #register(uid: string, request: JoinNodeRequest, certificate: string): void {
    const { registry, clock } = this.#options;
    const { serial, notAfter } = validityOf(certificate);
    const known = registry.find(uid);
    registry.add({
      uid,
      name: request.nodeName,
      address: request.agentAddress,
      natsPublicKey: request.natsPublicKey,
      certificateSerial: serial,
      certificateExpiresAt: notAfter,
      agentVersion: request.agentVersion,
      joinedAt: clock.now(),
      lastSeenAt: known?.lastSeenAt,
      generation: known?.generation ?? 0n,
      revokedAt: undefined,
    });
  }
}

function isAddress(text: string): boolean {
  try {
    return splitAddress(text).port <= 65_535;
  } catch {
    // It throws for everything that is not host:port.
    return false;
  }
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** n- and 16 base32 characters of the SHA-256 of the public NATS key: nobody can choose it, the key holder can prove it. */
export function nodeUidFrom(natsPublicKey: string): string {
  const digest = createHash('sha256').update(natsPublicKey).digest();
  let text = '';
  for (let bit = 0; bit < 80; bit += 5) {
    const pair = ((digest[bit >> 3] ?? 0) << 8) | (digest[(bit >> 3) + 1] ?? 0);
    text += BASE32.charAt((pair >> (11 - (bit & 7))) & 31);
  }
  return `n-${text}`;
}
