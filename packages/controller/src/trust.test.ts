/** Every method of every service, asked by everybody who may knock: who is let in, who is not, and what is written of it. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as door from '@pxmgr/contract/controller';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import { createCa, issueCertificate, type KeyedCertificate } from '@pxmgr/kit/pki/ca';
import { createCsr } from '@pxmgr/kit/pki/csr';
import { type Channel, createChannel } from '@pxmgr/kit/rpc/channel';
import type { Role } from '@pxmgr/kit/rpc/identity';
import type { TlsMaterial } from '@pxmgr/kit/rpc/tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { RULES, shortMethod } from './api/authorise.ts';
import { startTestController, type TestController } from './controller.fixture.ts';

const { AccessServiceClient, FleetServiceClient, InventoryServiceClient } = door;

let test: TestController;
let ca: KeyedCertificate;
beforeAll(async () => {
  test = await startTestController();
  const pem = async (name: string): Promise<string> => await readFile(join(test.folder, 'state/pki', name), 'utf8');
  ca = { certificate: await pem('ca.crt'), privateKey: await pem('ca.key') };
});
afterAll(async () => {
  await test.close();
});

interface Method {
  /** FleetService/GetStatus */
  readonly name: string;
  readonly isStream: boolean;
  call(channel: Channel, signal: AbortSignal): Promise<unknown>;
}

interface Definition {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestDeserialize: (bytes: Buffer) => object;
}

type AnyClient = Readonly<Record<string, never>>;

function methodsOf(service: string): Method[] {
  const definitions = Reflect.get(door, `${service}Service`) as Readonly<Record<string, Definition>>;
  const client = Reflect.get(door, `${service}Client`) as Parameters<Channel['client']>[0];
  return Object.entries(definitions).map(([key, definition]) => ({
    name: shortMethod(definition.path.slice(1)),
    isStream: definition.responseStream,
    call: async (channel, signal) => {
      const request = definition.requestDeserialize(Buffer.alloc(0)) as never;
      const stub = channel.client(client) as AnyClient;
      if (definition.requestStream) {
        const talk = channel.callBidi(stub, key, { signal });
        await talk.write(request);
        for await (const message of talk.messages) return message;
      } else if (definition.responseStream) {
        for await (const message of channel.callStream(stub, key, request, { signal })) return message;
      } else return await channel.call(stub, key, request, { signal });
      return undefined;
    },
  }));
}

const METHODS = Object.keys(door)
  .filter((name) => name.endsWith('ServiceService'))
  .flatMap((name) => methodsOf(name.slice(0, -'Service'.length)));

async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => 'OK',
    (error: unknown) => (isPxmError(error) ? error.code : String(error)),
  );
}

type Asked = readonly [name: string, outcome: string];

/** Asked when all other calls have their answers. */
const LAST = 'FleetService/GetStatus';

/**
 * A watcher that is let in hears nothing here, a refusal comes at once: it is waited for until calls that came later on the
 * same connection have their answers.
 */
async function askAll(channel: Channel): Promise<Asked[]> {
  const stop = new AbortController();
  const ask = async ({ name, call }: Method): Promise<Asked> => [name, await outcomeOf(call(channel, stop.signal))];
  const streams = METHODS.filter(({ isStream }) => isStream).map(ask);
  const answers = await Promise.all(METHODS.filter(({ isStream, name }) => !isStream && name !== LAST).map(ask));
  for (const method of METHODS.filter(({ name }) => name === LAST)) answers.push(await ask(method));
  stop.abort();
  return [...answers, ...(await Promise.all(streams))];
}

function open(tls: TlsMaterial): Channel {
  const address = `127.0.0.1:${String(test.controller.grpcPort)}`;
  const channel = createChannel({ address, tls, peer: { kind: 'controller' } });
  onTestFinished(() => {
    channel.close();
  });
  return channel;
}

async function withCertificate(uri: string, from = ca): Promise<Channel> {
  const { certificate, privateKey } = await issueCertificate(from, { uri, days: 1 });
  return open({ ca: ca.certificate, cert: certificate, key: privateKey });
}

const REFUSALS = new Set(['PXM_FORBIDDEN', 'PXM_AUTH_REVOKED']);
const RANK = { viewer: 1, operator: 2, admin: 3 };

function mayRole(role: Role): (method: string) => string {
  return (method) => {
    const rule = RULES[method];
    return rule !== undefined && rule.role !== 'agent' && RANK[role] >= RANK[rule.role] ? 'let in' : 'PXM_FORBIDDEN';
  };
}

interface Caller {
  readonly identity: string;
  readonly channel: () => Promise<Channel>;
  readonly expected: (method: string) => string;
}

const CALLERS: Readonly<Record<string, Caller>> = {
  'root on the socket': {
    identity: 'operator:root',
    channel: async () => await Promise.resolve(test.root),
    expected: mayRole('admin'),
  },
  'an admin': {
    identity: 'operator:alma',
    channel: async () => await test.operator('alma', 'admin'),
    expected: mayRole('admin'),
  },
  'an operator': {
    identity: 'operator:otto',
    channel: async () => await test.operator('otto', 'operator'),
    expected: mayRole('operator'),
  },
  'a viewer': {
    identity: 'operator:vera',
    channel: async () => await test.operator('vera', 'viewer'),
    expected: mayRole('viewer'),
  },
  'an agent': {
    identity: 'agent',
    channel: async () => open((await test.joinedAgent('member')).tls),
    expected: (method) => (RULES[method]?.role === 'agent' ? 'let in' : 'PXM_FORBIDDEN'),
  },
  'an agent that left': {
    identity: 'agent',
    channel: async () => {
      const { tls } = await test.joinedAgent('leaver');
      await test.root.call(test.root.client(FleetServiceClient), 'revokeNode', { node: 'leaver' });
      return open(tls);
    },
    expected: () => 'PXM_AUTH_REVOKED',
  },
  'an operator who was revoked': {
    identity: 'operator:rita',
    channel: async () => {
      const channel = await test.operator('rita', 'admin');
      await test.root.call(test.root.client(AccessServiceClient), 'revokeOperator', { name: 'rita' });
      return channel;
    },
    expected: () => 'PXM_AUTH_REVOKED',
  },
  'an operator nobody ever booked': {
    identity: 'operator:nemo',
    channel: async () => await withCertificate('pxmgr:operator:nemo:admin'),
    expected: () => 'PXM_AUTH_REVOKED',
  },
  "the controller's own certificate": {
    identity: 'controller',
    channel: async () => await withCertificate('pxmgr:controller'),
    expected: () => 'PXM_FORBIDDEN',
  },
};

describe('every method', () => {
  it.each(Object.entries(CALLERS))('asked by %s', async (_who, { identity, channel: connect, expected }) => {
    const channel = await connect();
    const [newest] = await test.audit({ limit: 1 });
    const found = (await askAll(channel)).map(
      ([name, outcome]) => [name, REFUSALS.has(outcome) ? outcome : 'let in'] as const,
    );
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(METHODS.map(({ name }) => [name, expected(name)] as const)),
    );
    const fresh = (await test.audit()).filter((row) => row.id > (newest?.id ?? 0n));
    const rows = fresh.filter((row) => row.identity.startsWith(identity));
    const refused = rows.filter((row) => REFUSALS.has(row.outcome)).map((row) => `${row.method} ${row.outcome}`);
    expect(refused.sort()).toEqual(
      found
        .filter(([, outcome]) => outcome !== 'let in')
        .map(([name, outcome]) => `${name} ${outcome}`)
        .sort(),
    );
    const mutating = found.filter(([name, outcome]) => outcome === 'let in' && RULES[name]?.mutates === true);
    const written = rows.filter((row) => !REFUSALS.has(row.outcome)).map((row) => row.method);
    // A call without a certificate request, a plan or a guest fails; that it was tried is written all the same.
    expect(written.sort()).toEqual(mutating.map(([name]) => name).sort());
  });

  it.each([
    ['no certificate', async () => await Promise.resolve(open({ ca: ca.certificate }))],
    [
      'a certificate of another fleet',
      async () => await withCertificate('pxmgr:operator:eve:admin', await createCa({ commonName: 'other' })),
    ],
    ['a certificate of the message bus', async () => await withCertificate('pxmgr-nats:server')],
  ])('asked with %s', async (_what, connect) => {
    const channel = await connect();
    const outcomes = await askAll(channel);
    expect([...new Set(outcomes.map(([, outcome]) => outcome))]).toEqual(['PXM_AUTH_CERTIFICATE_REQUIRED']);
  });
});

describe('operators', () => {
  const create = async (name: string, role: string, request?: string): Promise<string> => {
    const { request: certificateRequest } = await createCsr({ commonName: 'pxmgr:operator:mallory:admin' });
    const order = { name, role, certificateRequest: request ?? certificateRequest };
    return await outcomeOf(test.root.call(test.root.client(AccessServiceClient), 'createOperator', order));
  };

  it('are made with a name and a role that make sense, by admins only', async () => {
    for (const [name, role] of [
      ['', 'viewer'],
      ['root', 'viewer'],
      ['a:admin', 'viewer'],
      ['-x', 'viewer'],
      ['a/../b', 'viewer'],
      ['x'.repeat(65), 'viewer'],
      ['bob\n', 'viewer'],
      ['bob', 'king'],
      ['bob', ''],
      ['bob', 'viewer:admin'],
    ] as const)
      expect(await create(name, role), `${name} as ${role}`).toBe('PXM_INPUT_INVALID');
    expect(await create('bob', 'viewer', 'nonsense')).toBe('PXM_INPUT_INVALID');
    const { operators } = await test.root.call(test.root.client(AccessServiceClient), 'listOperators', { all: true });
    expect(operators.filter((one) => one.name === 'bob')).toEqual([]);
  });

  it('are taken back at once: the running call ends, the next is refused, also after a restart', async () => {
    const first = await test.operator('lena', 'viewer');
    const second = await test.operator('lena', 'admin');
    const bystander = await test.operator('lennart', 'viewer');
    const watch = { kinds: [], node: '', sendCurrent: false };
    const watching = first.callStream(first.client(InventoryServiceClient), 'watchInventory', watch);
    const ended = outcomeOf(watching.next());
    // The watcher is inside as soon as another call on its connection is answered.
    await first.call(first.client(FleetServiceClient), 'getStatus', {});
    const revoke = async (): Promise<unknown> =>
      await test.root.call(test.root.client(AccessServiceClient), 'revokeOperator', { name: 'lena' });
    expect(await revoke()).toMatchObject({ operators: [{ role: 'viewer' }, { role: 'admin' }] });
    expect(await ended).toBe('PXM_AUTH_REVOKED');
    await expect(revoke()).rejects.toMatchObject({ code: 'PXM_OPERATOR_NOT_FOUND' });
    await test.restart();
    const status = async (channel: Channel): Promise<string> =>
      await outcomeOf(channel.call(channel.client(FleetServiceClient), 'getStatus', {}));
    await expect.poll(async () => await status(bystander), { timeout: 20_000 }).toBe('OK');
    expect([await status(first), await status(second)]).toEqual(['PXM_AUTH_REVOKED', 'PXM_AUTH_REVOKED']);
    const { operators } = await test.root.call(test.root.client(AccessServiceClient), 'listOperators', { all: false });
    expect(operators.map((one) => one.name)).toContain('lennart');
    expect(operators.map((one) => one.name)).not.toContain('lena');
  });
});

describe('the audit', () => {
  it('is read by admins, by person, by outcome, by time, page by page', async () => {
    const all = await test.audit();
    expect(all.length).toBeGreaterThan(10);
    expect(all.map((row) => row.id)).toEqual([...all].map((row) => row.id).sort((a, b) => Number(b - a)));
    const vera = await test.audit({ identity: 'operator:vera', refusedOnly: true });
    expect(new Set(vera.map((row) => row.outcome))).toEqual(new Set(['PXM_FORBIDDEN']));
    const [first, second] = all;
    expect(await test.audit({ limit: 1 })).toEqual([first]);
    expect(await test.audit({ limit: 1, beforeId: first?.id ?? 0n })).toEqual([second]);
    expect(await test.audit({ until: new Date(0) })).toEqual([]);
    const swapped = test.audit({ since: new Date(1), until: new Date(0) });
    await expect(swapped).rejects.toMatchObject({ code: 'PXM_INPUT_INVALID' });
  });
});
