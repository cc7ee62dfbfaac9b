/** For tests: a registry that serves one OCI layout over HTTP and misbehaves as it is told. */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { OCI_MANIFEST } from './oci-types.ts';

/** What the registry answers instead of the content; undefined = the content. */
export interface Refusal {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** One of the distribution specification's codes. */
  readonly code?: string;
  readonly message?: string;
  /** Only this many bytes of the content are sent; the rest never comes. */
  readonly stallAfter?: number;
}

export type Judge = (request: { path: string; authorization: string }) => Refusal | undefined;

export class FixtureRegistry {
  /** host:port */
  readonly address: string;
  readonly requests: string[] = [];
  judge: Judge = () => undefined;
  readonly #server: Server;

  private constructor(server: Server, layout: string) {
    this.#server = server;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#answer(layout, request, response).catch(() => response.destroy());
    });
  }

  static async start(layout: string): Promise<FixtureRegistry> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FixtureRegistry(server, layout);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  count(kind: 'manifests' | 'blobs'): number {
    return this.requests.filter((path) => path.includes(`/${kind}/`)).length;
  }

  async #answer(layout: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    this.requests.push(path);
    const refusal = this.judge({ path, authorization: request.headers.authorization ?? '' });
    if (refusal !== undefined && refusal.stallAfter === undefined) {
      refuse(response, refusal);
      return;
    }
    const content = path === '/v2/' ? PING : await find(layout, path);
    if (content === undefined) {
      refuse(response, { status: 404 });
      return;
    }
    const { type, bytes } = content;
    response.writeHead(200, { 'content-type': type, 'content-length': bytes.length });
    if (refusal === undefined) response.end(bytes);
    else response.write(bytes.subarray(0, refusal.stallAfter));
  }
}

function refuse(response: ServerResponse, { status, headers, code = 'UNKNOWN', message = '' }: Refusal): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}

interface Content {
  readonly type: string;
  readonly bytes: Buffer;
}

const PING: Content = { type: 'application/json', bytes: Buffer.from('{}') };

async function find(layout: string, path: string): Promise<Content | undefined> {
  const match = /\/(manifests|blobs)\/([^/]+)$/.exec(path);
  if (match === null) return undefined;
  const isManifest = match[1] === 'manifests';
  const digest = match[2]?.startsWith('sha256:') ? match[2] : await onlyManifest(layout);
  const bytes = await readFile(join(layout, 'blobs/sha256', digest.slice('sha256:'.length))).catch(() => undefined);
  return bytes === undefined ? undefined : { type: isManifest ? OCI_MANIFEST : 'application/octet-stream', bytes };
}

async function onlyManifest(layout: string): Promise<string> {
  const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: { digest: string }[] };
  return index.manifests[0]?.digest ?? '';
}
