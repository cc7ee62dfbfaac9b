/** What the trust tests hold in their hands: certificates of all kinds, and calls made with them. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import { issueCertificate, type KeyedCertificate } from '@pxmgr/kit/pki/ca';
import { splitAddress } from '@pxmgr/kit/rpc/address';
import { type ClientConstructor, call, createChannel } from '@pxmgr/kit/rpc/channel';
import { WAIT_LIMIT_MS } from './fleet.ts';

const DAY_MS = 86_400_000;

/** A certificate of the CA in a controller's state folder, made at another time than now. */
export async function certificateFrom(
  stateDir: string,
  { uri, daysAgo, days }: { uri: string; daysAgo: number; days: number },
): Promise<KeyedCertificate> {
  const ca = (name: string): string => pem(join(stateDir, 'pki', name));
  const now = new Date(Date.now() - daysAgo * DAY_MS);
  return await issueCertificate({ certificate: ca('ca.crt'), privateKey: ca('ca.key') }, { uri, days, now });
}

/** The code that a call ends with, or OK. */
export async function codeOf<C extends object>(
  to: { address: string; tls: { ca: string; cert?: string; key?: string }; kind: 'agent' | 'controller' },
  service: ClientConstructor<C>,
  [method, request = {}]: readonly [method: keyof C, request?: object],
): Promise<string> {
  const channel = createChannel({ address: to.address, tls: to.tls, peer: { kind: to.kind } });
  try {
    await call(channel.client(service), method, request as never, { deadlineMs: WAIT_LIMIT_MS });
    return 'OK';
  } catch (error) {
    return isPxmError(error) ? error.code : String(error);
  } finally {
    channel.close();
  }
}

export function pem(path: string): string {
  return readFileSync(path, 'utf8');
}

/** What an agent shows when it calls. */
export function agentTls(stateDir: string): { ca: string; cert: string; key: string } {
  const read = (...names: readonly string[]): string => {
    const found = names.map((name) => join(stateDir, name)).find((path) => existsSync(path));
    return pem(found ?? join(stateDir, names[0] ?? ''));
  };
  return {
    ca: read('identity/ca.crt', 'ca.crt'),
    cert: read('identity/agent.crt', 'agent.crt'),
    key: read('identity/agent.key', 'agent.key'),
  };
}

/** Serial number of the certificate that a server shows to whoever asks. */
export async function shownSerial(address: string): Promise<string> {
  const { host, port } = splitAddress(address);
  return await new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      resolve(serialNumber.toLowerCase());
    });
  });
}
