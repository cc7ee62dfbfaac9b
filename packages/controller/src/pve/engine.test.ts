import { once } from 'node:events';
import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { systemClock } from '@pxmgr/kit/clock';
import { createCa, issueCertificate } from '@pxmgr/kit/pki/ca';
import { fingerprint } from '@pxmgr/kit/pki/certificate';
import { proxmoxApi } from 'proxmox-api';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createPveProbe } from './client.ts';
import { encodeParameters, PveEngine } from './engine.ts';

let tls: { key: string; cert: string };
beforeAll(async () => {
  const ca = await createCa({ commonName: 'a Proxmox cluster' });
  const issued = await issueCertificate(ca, { uri: 'pve:pve1', dns: ['pve1'], days: 2 });
  tls = { key: issued.privateKey, cert: issued.certificate };
});

let server: Server | undefined;
let engine: PveEngine | undefined;
afterEach(() => {
  engine?.close();
  server?.closeAllConnections();
  server?.close();
});

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(tls, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

const TOKEN = 'pxmgr@pve!controller=11111111-2222-3333-4444-555555555555';

function open(address: string, part: { fingerprint?: string; deadlineMs?: number } = {}): PveEngine {
  engine = new PveEngine({ address, fingerprint: fingerprint(tls.cert), token: TOKEN, clock: systemClock, ...part });
  return engine;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

describe('PveEngine', () => {
  it('serves the typed client and shows the token only to the right server', async () => {
    const seen: string[] = [];
    const address = await serve((request, response) => {
      seen.push(`${request.method ?? ''} ${request.url ?? ''} ${request.headers.authorization ?? ''}`);
      response.end(
        JSON.stringify({
          data: [
            { id: 'node/pve1', type: 'node' },
            { id: 'lxc/101', type: 'lxc' },
            { id: 'storage/pve1/local', type: 'storage' },
          ],
        }),
      );
    });
    const probe = createPveProbe(
      { name: 'home', address, fingerprint: fingerprint(tls.cert).toUpperCase(), token: TOKEN },
      systemClock,
    );
    expect(await probe.resources(new AbortController().signal)).toEqual({ nodes: 1, guests: 1, storages: 1 });
    expect(seen).toEqual([`GET /api2/json/cluster/resources PVEAPIToken=${TOKEN}`]);
    probe.close();
  });

  it('sends nothing to a server with another certificate', async () => {
    let requests = 0;
    const address = await serve((_request, response) => {
      requests += 1;
      response.end('{}');
    });
    await expect(
      open(address, { fingerprint: '00'.repeat(32) }).doRequest('get', '/api2/json/version', ''),
    ).rejects.toMatchObject({ code: 'PXM_AUTH_SERVER_UNTRUSTED' });
    expect(requests).toBe(0);
  });

  it('repeats a read that found nobody, but never a write', async () => {
    const methods: string[] = [];
    const address = await serve((request, response) => {
      methods.push(request.method ?? '');
      if (methods.length < 3) request.socket.destroy();
      else response.end('{"data":"done"}');
    });
    expect(await open(address).doRequest('get', '/api2/json/version', '')).toBe('done');
    expect(methods).toEqual(['GET', 'GET', 'GET']);
    methods.length = 0;
    await expect(open(address).doRequest('post', '/api2/json/nodes/pve1/lxc', '', { vmid: 101 })).rejects.toMatchObject(
      { code: 'PXM_PVE_UNREACHABLE' },
    );
    expect(methods).toEqual(['POST']);
  });

  it('sends parameters as Proxmox reads them', async () => {
    let body = '';
    const address = await serve((request, response) => {
      void bodyOf(request).then((text) => {
        body = text;
        response.end('{"data":"UPID:x"}');
      });
    });
    const api = proxmoxApi(open(address));
    await api.nodes.$('pve1').lxc.$post({ vmid: 101, ostemplate: 'local:vztmpl/a b.tar.zst', unprivileged: true });
    expect(body).toBe('vmid=101&ostemplate=local%3Avztmpl%2Fa+b.tar.zst&unprivileged=1');
    expect(encodeParameters({ a: [1, 2], b: false, c: undefined })).toBe('a=1&a=2&b=0');
  });

  it.each([
    [401, 'No ticket', 'PXM_PVE_REFUSED'],
    [403, 'Permission check failed', 'PXM_PVE_REFUSED'],
    [595, 'No route to host', 'PXM_PVE_UNREACHABLE'],
  ])('tells status %i by its code', async (status, reason, code) => {
    const address = await serve((_request, response) => {
      response.writeHead(status, reason).end();
    });
    await expect(open(address).doRequest('put', '/api2/json/x', '')).rejects.toMatchObject({
      code,
      message: expect.stringContaining(reason) as string,
    });
  });

  it('does not wait for ever, and is not confused by an answer that is no JSON', async () => {
    const silent = await serve(() => undefined);
    await expect(open(silent, { deadlineMs: 50 }).doRequest('delete', '/api2/json/x', '')).rejects.toMatchObject({
      code: 'PXM_PVE_UNREACHABLE',
    });
    server?.closeAllConnections();
    server?.close();
    const odd = await serve((_request, response) => {
      response.end('<html>');
    });
    await expect(open(odd).doRequest('get', '/api2/json/x', '')).rejects.toMatchObject({ code: 'PXM_PVE_REFUSED' });
  });
});
