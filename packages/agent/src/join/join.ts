/** `pxmgr-agent join TOKEN`: keys, signing request, one call, identity files. Interrupted anywhere, the same again goes on. */
import type { JoinToken } from '@pxmgr/contract';
import { CONTRACT_VERSION, PRODUCT_VERSION, parseJoinToken, parseNodeUid } from '@pxmgr/contract';
import type { JoinNodeResponse } from '@pxmgr/contract/controller';
import { JoinServiceClient } from '@pxmgr/contract/controller';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { registerSecret } from '@pxmgr/kit/log/redact';
import { createChannel } from '@pxmgr/kit/rpc/channel';
import type { Identity } from './identity.ts';
import { readIdentity, writeIdentity } from './identity.ts';
import { forgetKeys, hashToken, type JoinKeys, keysFor } from './pending-keys.ts';
import { fetchPinnedCa } from './pin.ts';

export interface JoinOptions {
  readonly token: string;
  readonly stateDir: string;
  readonly nodeName: string;
  /** host:port on which this agent will listen; its port is used when `advertise` is not given. */
  readonly listen: string;
  readonly advertise: string | undefined;
  /** Replace an identity that is already there. */
  readonly force: boolean;
  readonly clock: Clock;
}

function readToken(text: string, nodeName: string, clock: Clock): JoinToken {
  const token = parseJoinToken(text.trim());
  if (token === undefined) throw new PxmError('PXM_TOKEN_MALFORMED');
  registerSecret(token.secret);
  if (token.expiresAt <= clock.now()) throw new PxmError('PXM_TOKEN_EXPIRED', { at: token.expiresAt.toISOString() });
  if (token.nodeName !== undefined && token.nodeName !== nodeName) {
    throw new PxmError('PXM_TOKEN_NODE_MISMATCH', { expected: token.nodeName, node: nodeName });
  }
  return token;
}

/** The address the controller saw us with, unless we listen on one certain address. */
function addressFor(options: JoinOptions, localAddress: string): string {
  if (options.advertise !== undefined) return options.advertise;
  const colon = options.listen.lastIndexOf(':');
  const [host, port] = [options.listen.slice(0, colon), options.listen.slice(colon + 1)];
  if (host !== '0.0.0.0' && host !== '[::]') return options.listen;
  return localAddress.includes(':') ? `[${localAddress}]:${port}` : `${localAddress}:${port}`;
}

interface Answer {
  readonly response: JoinNodeResponse;
  readonly keys: JoinKeys;
  readonly agentAddress: string;
}

async function ask(token: JoinToken, options: JoinOptions): Promise<Answer> {
  const { caCertificate, localAddress } = await fetchPinnedCa(token.address, token.caFingerprint);
  const { stateDir, nodeName } = options;
  const keys = await keysFor(stateDir, { hash: hashToken(token.secret), commonName: nodeName });
  const agentAddress = addressFor(options, localAddress);
  const channel = createChannel({ address: token.address, tls: { ca: caCertificate }, peer: { kind: 'controller' } });
  try {
    const response = await channel.call(channel.client(JoinServiceClient), 'joinNode', {
      secret: token.secret,
      nodeName,
      certificateRequest: keys.request,
      natsPublicKey: keys.natsPublicKey,
      agentAddress,
      agentVersion: PRODUCT_VERSION,
      contractVersion: CONTRACT_VERSION,
    });
    return { response, keys, agentAddress };
  } finally {
    channel.close();
  }
}

/**
 * Errors: PXM_ALREADY_JOINED, PXM_TOKEN_MALFORMED, PXM_TOKEN_EXPIRED, PXM_TOKEN_NODE_MISMATCH, PXM_AUTH_SERVER_UNTRUSTED,
 * and what the controller answers. A failed join leaves an earlier identity untouched. With the token that an identity
 * came of it is the answer: whoever asks again may not have heard it.
 */
export async function joinFleet(options: JoinOptions): Promise<Identity> {
  // A damaged identity is no reason not to get another.
  const before = options.force ? undefined : readIdentity(options.stateDir);
  const tokenHash = hashToken(parseJoinToken(options.token.trim())?.secret ?? '');
  if (before !== undefined && before.tokenHash === tokenHash) {
    await forgetKeys(options.stateDir);
    return before;
  }
  if (before !== undefined) {
    throw new PxmError('PXM_ALREADY_JOINED', { node: before.nodeName, uid: before.nodeUid });
  }
  const token = readToken(options.token, options.nodeName, options.clock);
  const { response, keys, agentAddress } = await ask(token, options);
  if (!parseNodeUid(response.nodeUid).ok)
    throw new Error(`the controller gave an unusable node uid: ${response.nodeUid}`);
  const identity: Identity = {
    version: 1,
    nodeUid: response.nodeUid,
    nodeName: options.nodeName,
    natsUrl: response.natsUrl,
    controllerAddress: response.controllerAddress,
    agentAddress,
    joinedAt: options.clock.now().toISOString(),
    caCertificate: response.caCertificate,
    certificate: response.certificate,
    privateKey: keys.privateKey,
    natsJwt: response.natsJwt,
    natsSeed: keys.natsSeed,
    tokenHash,
  };
  await writeIdentity(options.stateDir, identity);
  await forgetKeys(options.stateDir);
  return identity;
}
