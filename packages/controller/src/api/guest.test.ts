import { GuestServiceService as AgentGuestService, ImageServiceService } from '@pxmgr/contract/agent';
import { AccessServiceClient, type ExecGuestResponse, GuestServiceClient } from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { silentLogger } from '@pxmgr/kit/log/logger';
import { createRpcServer, type RpcServer } from '@pxmgr/kit/rpc/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../bus/bus.fixture.ts';
import { startTestController, type TestController } from '../controller.fixture.ts';
import { containerDocument } from '../inventory/inventory.fixture.ts';

let test: TestController;
let server: RpcServer;
const started: { vmid: number; argv: string[]; actor: string }[] = [];

const absent = (): Promise<never> => Promise.reject(new Error('not in this test'));

/** An agent that echoes standard input and ends with 7. */
function agentServer(): RpcServer {
  return createRpcServer({ logger: silentLogger(), program: 'pxmgr-agent' })
    .addService(AgentGuestService, {
      listGuests: absent,
      getGuest: absent,
      createContainer: absent,
      cloneContainer: absent,
      startContainer: absent,
      shutdownContainer: absent,
      stopContainer: absent,
      destroyContainer: absent,
      changeContainer: absent,
      execContainer: async (messages, _context, write) => {
        for await (const { request } of messages) {
          if (request?.$case === 'start') started.push(request.value);
          if (request?.$case === 'stdin') await write({ response: { $case: 'stdout', value: request.value } });
          if (request?.$case === 'stdinClosed') break;
        }
        await write({ response: { $case: 'exitCode', value: 7 } });
      },
    })
    .addService(ImageServiceService, {
      resolveImage: (request) => Promise.reject(new PxmError('PXM_IMAGE_NOT_FOUND', { reference: request.reference })),
      pullImage: absent,
      listImages: absent,
    });
}

beforeAll(async () => {
  test = await startTestController();
  const agent = await test.joinedAgent('pve1');
  server = agentServer();
  const port = await server.listen({ address: '127.0.0.1:0', tls: agent.tls });
  const connection = await agent.connect();
  agent.beat(connection, `127.0.0.1:${String(port)}`);
  await agent.publish(connection, agent.talk.say('container', '101', containerDocument(101, { name: 'web' })));
  const { InventoryServiceClient } = await import('@pxmgr/contract/controller');
  const list = { kind: 'container', node: '', pageSize: 0, pageToken: '' };
  await until(
    'the guest is known',
    async () =>
      (await test.root.call(test.root.client(InventoryServiceClient), 'listInventory', list)).objects.length === 1,
  );
});
afterAll(async () => {
  await test.close();
  await server.stop(0);
});

const exec = (argv: string[]): { env: []; argv: string[]; vmid: number; timeoutSeconds: number; actor: string } => ({
  argv,
  env: [],
  vmid: 999,
  timeoutSeconds: 0,
  actor: 'somebody else',
});

const ALL = { identity: '', refusedOnly: false, since: undefined, until: undefined, limit: 0, beforeId: 0n };

describe('exec', () => {
  it('passes both directions through to the guest meant, as the caller', async () => {
    const call = test.root.callBidi(test.root.client(GuestServiceClient), 'execGuest');
    const start = { guest: { key: 'web', node: '' }, exec: exec(['cat']) };
    await call.write({ request: { $case: 'start', value: start } });
    await call.write({ request: { $case: 'stdin', value: Buffer.from('hello') } });
    await call.write({ request: { $case: 'stdinClosed', value: true } });
    const answers: ExecGuestResponse['response'][] = [];
    for await (const { response } of call.messages) answers.push(response);
    call.end();
    expect(answers).toMatchObject([{ $case: 'stdout' }, { $case: 'exitCode', value: 7 }]);
    expect(started).toMatchObject([{ vmid: 101, argv: ['cat'], actor: 'operator:root' }]);
    const { entries } = await test.root.call(test.root.client(AccessServiceClient), 'listAudit', ALL);
    expect(entries[0]).toMatchObject({ method: 'GuestService/ExecGuest', target: 'web', outcome: 'EXIT 7' });
  });

  it.each([
    ['a guest nobody knows', { guest: { key: 'db', node: '' }, exec: exec(['true']) }, 'PXM_GUEST_NOT_FOUND'],
    ['a node nobody knows', { guest: { key: 'web', node: 'pve9' }, exec: exec(['true']) }, 'PXM_NODE_NOT_FOUND'],
  ])('refuses %s', async (_name, value, code) => {
    const call = test.root.callBidi(test.root.client(GuestServiceClient), 'execGuest');
    await call.write({ request: { $case: 'start', value } });
    await expect(call.messages[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code });
  });

  it('wants to be told first what to run', async () => {
    const call = test.root.callBidi(test.root.client(GuestServiceClient), 'execGuest');
    await call.write({ request: { $case: 'stdin', value: Buffer.from('x') } });
    await expect(call.messages[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'PXM_INPUT_INVALID' });
  });
});

describe('inspecting an image', () => {
  it('asks a node that is up and hands its refusal on', async () => {
    const request = { reference: 'docker.io/library/nothing:1', platform: '', node: '' };
    const call = test.root.call(test.root.client(GuestServiceClient), 'inspectImage', request);
    await expect(call).rejects.toMatchObject({ code: 'PXM_IMAGE_NOT_FOUND', fields: { reference: request.reference } });
  });
});
