import { type experimental, logVerbosity, setLogVerbosity } from '@grpc/grpc-js';

// grpc-js writes its own lines to stderr; everything it says there also reaches callers as errors.
setLogVerbosity(logVerbosity.NONE);

/** PEM texts. Without `cert` and `key` a client stays anonymous (joining). */
export interface TlsMaterial {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

type CaListener = Parameters<experimental.CertificateProvider['addCaCertificateListener']>[0];
type IdentityListener = Parameters<experimental.CertificateProvider['addIdentityCertificateListener']>[0];

/** Feeds grpc-js with certificates and can exchange them while connections go on; new handshakes use the new ones. */
export class TlsSource implements experimental.CertificateProvider {
  readonly #caListeners = new Set<CaListener>();
  readonly #identityListeners = new Set<IdentityListener>();
  #material: TlsMaterial;

  constructor(material: TlsMaterial) {
    this.#material = material;
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  replace(material: TlsMaterial): void {
    this.#material = material;
    for (const listener of this.#caListeners) this.#tellCa(listener);
    for (const listener of this.#identityListeners) this.#tellIdentity(listener);
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    // grpc-js expects the first answer after the call has returned.
    queueMicrotask(() => {
      this.#tellCa(listener);
    });
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    queueMicrotask(() => {
      this.#tellIdentity(listener);
    });
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
  }

  #tellCa(listener: CaListener): void {
    listener({ caCertificate: Buffer.from(this.#material.ca) });
  }

  #tellIdentity(listener: IdentityListener): void {
    const { cert, key, ca } = this.#material;
    if (cert === undefined || key === undefined) listener(null);
    // The CA travels along so that a joining agent can compare it with the fingerprint in its token.
    else listener({ certificate: Buffer.from(`${cert.trimEnd()}\n${ca}`), privateKey: Buffer.from(key) });
  }
}
