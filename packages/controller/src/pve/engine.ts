/**
 * pve/: the Proxmox API. `proxmox-api` gives paths and types; requests go through our own engine: pinned certificate,
 * a deadline per call, reads may be repeated, writes never, failures with codes. No other room speaks HTTP to Proxmox.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Clock } from '@pxmgr/kit/clock';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { FingerprintMismatch, PinnedAgent } from './pinned-agent.ts';

export interface EngineOptions {
  /** host:port of pveproxy. */
  readonly address: string;
  readonly fingerprint: string;
  /** USER@REALM!TOKENID=SECRET */
  readonly token: string;
  readonly clock: Clock;
  readonly deadlineMs?: number;
}

type Scalar = string | number | bigint | boolean | null | undefined;
export type Parameters = Readonly<Record<string, Scalar | readonly Scalar[]>>;

const DEADLINE_MS = 20_000;
const READ_ATTEMPTS = 3;
const RETRY_MS = 250;
const ANSWER_MAX_BYTES = 32 * 1024 * 1024;

interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly body: string;
}

/** What `proxmoxApi` calls for every request. Errors: PXM_PVE_UNREACHABLE, PXM_PVE_REFUSED, PXM_AUTH_SERVER_UNTRUSTED. */
export class PveEngine {
  readonly #options: EngineOptions;
  readonly #agent: PinnedAgent;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#agent = new PinnedAgent(options.fingerprint);
  }

  /** `path` is complete (/api2/json/...), with values in it already escaped. */
  // eslint-disable-next-line @typescript-eslint/max-params -- the shape that proxmox-api calls
  async doRequest(httpMethod: string, path: string, _pathTemplate: string, params: Parameters = {}): Promise<unknown> {
    const method = httpMethod.toUpperCase();
    if (method !== 'GET') return await this.#once(method, path, params);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(method, path, params);
      } catch (error) {
        const mayHelp = error instanceof PxmError && error.code === 'PXM_PVE_UNREACHABLE';
        if (!mayHelp || attempt >= READ_ATTEMPTS) throw error;
      }
      await this.#options.clock.sleep(RETRY_MS * attempt);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #once(method: string, path: string, params: Parameters): Promise<unknown> {
    const answer = await this.#send(method, path, encodeParameters(params));
    if (answer.status >= 200 && answer.status < 300) return this.#dataOf(answer);
    throw this.#refusal(answer);
  }

  /** Proxmox repeats the reason in the status line; the body often has nothing (proxmox/pve-http-server src/PVE/APIServer/AnyEvent.pm). */
  #refusal(answer: Answer): PxmError {
    const { address } = this.#options;
    const reason = `${String(answer.status)} ${answer.reason}`.trim();
    // 595-599: pveproxy could not reach the node that it passes the request on to.
    if (answer.status === 502 || answer.status === 503 || answer.status === 504 || answer.status >= 595)
      return new PxmError('PXM_PVE_UNREACHABLE', { address }, { detail: reason });
    return new PxmError('PXM_PVE_REFUSED', { address, reason });
  }

  #dataOf(answer: Answer): unknown {
    try {
      const parsed: unknown = JSON.parse(answer.body);
      return typeof parsed === 'object' && parsed !== null && 'data' in parsed ? parsed.data : undefined;
    } catch (error) {
      throw new PxmError(
        'PXM_PVE_REFUSED',
        { address: this.#options.address, reason: 'it answered with something that is not JSON' },
        { cause: error },
      );
    }
  }

  async #send(method: string, path: string, query: string): Promise<Answer> {
    const { address, token, deadlineMs = DEADLINE_MS } = this.#options;
    const { hostname, port } = new URL(`https://${address}`);
    const hasBody = method === 'POST' || method === 'PUT';
    const deadline = AbortSignal.timeout(deadlineMs);
    const headers = {
      accept: 'application/json',
      authorization: `PVEAPIToken=${token}`,
      ...(hasBody
        ? { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(Buffer.byteLength(query)) }
        : {}),
    };
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const request = httpRequest({
          agent: this.#agent,
          host: hostname.replace(/^\[|\]$/g, ''),
          port,
          method,
          path: hasBody || query === '' ? path : `${path}?${query}`,
          headers,
          signal: deadline,
        });
        request.once('response', resolve);
        request.once('error', reject);
        request.end(hasBody ? query : undefined);
      });
      return { status: response.statusCode ?? 0, reason: response.statusMessage ?? '', body: await readBody(response) };
    } catch (error) {
      if (error instanceof FingerprintMismatch)
        throw new PxmError(
          'PXM_AUTH_SERVER_UNTRUSTED',
          { peer: address },
          {
            cause: error,
            hint: 'compare with "pvenode cert info" on the node, then correct the fingerprint of this endpoint',
          },
        );
      throw new PxmError('PXM_PVE_UNREACHABLE', { address }, { cause: error });
    }
  }
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_MAX_BYTES) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Booleans as 0 and 1, lists as repeated keys: what PVE::JSONSchema reads (proxmox/pve-common src/PVE/JSONSchema.pm). */
export function encodeParameters(params: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const item of isList(value) ? value : [value]) {
      if (item === undefined || item === null) continue;
      query.append(name, typeof item === 'boolean' ? (item ? '1' : '0') : String(item));
    }
  }
  return query.toString();
}

function isList(value: Scalar | readonly Scalar[]): value is readonly Scalar[] {
  return Array.isArray(value);
}
