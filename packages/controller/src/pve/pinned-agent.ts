import { Agent, type AgentOptions, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';

/** "AB:CD:..." or "abcd..." -> lower-case hex without colons. */
export function plainFingerprint(text: string): string {
  return text.replaceAll(':', '').toLowerCase();
}

/** The certificate is not the one we were told to expect. */
export class FingerprintMismatch extends Error {
  constructor(found: string) {
    super(`its certificate has fingerprint ${found}`);
    this.name = 'FingerprintMismatch';
  }
}

/**
 * Connections to one server whose certificate has a known SHA-256. Proxmox signs its own, so no CA and no host name can
 * be checked; the fingerprint is compared before a single byte (with the token in it) is sent.
 */
export class PinnedAgent extends Agent {
  readonly #fingerprint: string;

  constructor(fingerprint: string, options: AgentOptions = {}) {
    super({ keepAlive: true, maxSockets: 8, ...options });
    this.#fingerprint = plainFingerprint(fingerprint);
  }

  /** Node.js takes the socket from the callback when nothing is returned. */
  override createConnection(
    options: ClientRequestArgs,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const socket = connect({
      host: options.host ?? 'localhost',
      port: Number(options.port),
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
    });
    const answer = callback as ((error: Error | null, socket?: Duplex) => void) | undefined;
    const fail = (error: Error): void => {
      socket.destroy();
      answer?.(error);
    };
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      socket.removeListener('error', fail);
      const found = plainFingerprint(socket.getPeerCertificate().fingerprint256);
      if (found === this.#fingerprint) answer?.(null, socket);
      else fail(new FingerprintMismatch(found));
    });
  }
}
