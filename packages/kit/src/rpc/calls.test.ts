import {
  type ExecContainerRequest,
  GuestServiceClient,
  GuestServiceService,
  NodeServiceClient,
  NodeServiceService,
  OperationServiceClient,
  OperationServiceService,
} from '@pxmgr/contract/agent';
import { describe, expect, it } from 'vitest';
import { PxmError } from '../error/pxm-error.ts';
import { createLogger } from '../log/logger.ts';
import { getNode, listen, makeServer, node, open, server, tlsOf, useBench } from './rpc.fixture.ts';

useBench();

describe('errors and limits', () => {
  it('carries code, fields, hint and causes; hides what is internal', async () => {
    const channel = open({ address: await listen(), tls: await tlsOf('pxmgr:controller') });
    const client = channel.client(NodeServiceClient);
    const locked = await channel.call(client, 'resyncInventory', { kinds: [] }).catch((error: unknown) => error);
    expect(locked).toBeInstanceOf(PxmError);
    expect(locked).toMatchObject({
      code: 'PXM_GUEST_LOCKED',
      message: 'container 101 on pve2 is locked (backup)',
      fields: { vmid: '101', lock: 'backup' },
      cause: { message: 'task 1 holds it' },
    });
    await expect(channel.call(client, 'getInventory', { kinds: [] })).rejects.toMatchObject({
      code: 'PXM_INTERNAL',
      message: 'internal error',
    });
  });

  it('carries what a handler throws before it returns a promise', async () => {
    makeServer();
    server.addService(
      NodeServiceService,
      node({
        getNode: () => {
          throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation: 'op-1' });
        },
      }),
    );
    const address = `127.0.0.1:${String(await server.listen({ address: '127.0.0.1:0', tls: await tlsOf('pxmgr:agent:n-a') }))}`;
    const channel = open({ address, tls: await tlsOf('pxmgr:controller') });
    await expect(getNode(channel)).rejects.toMatchObject({ code: 'PXM_OPERATION_NOT_FOUND' });
    expect(server.activeCalls).toBe(0);
  });

  it('ends on deadline and on abort, and tells the handler', async () => {
    makeServer();
    const reasons: unknown[] = [];
    let started = 0;
    server.addService(
      NodeServiceService,
      node({
        getNode: (_request, context) =>
          new Promise((_resolve, reject) => {
            started += 1;
            context.signal.addEventListener('abort', () => {
              reasons.push(context.signal.reason);
              reject(new Error('gone'));
            });
          }),
      }),
    );
    const address = `127.0.0.1:${String(await server.listen({ address: '127.0.0.1:0', tls: await tlsOf('pxmgr:agent:n-a') }))}`;
    const channel = open({ address, tls: await tlsOf('pxmgr:controller') });
    const abort = new AbortController();
    const call = getNode(channel, { signal: abort.signal });
    await expect.poll(() => started).toBe(1);
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: 'PXM_CANCELLED' });
    await expect.poll(() => reasons.length).toBe(1);
    // The connection is there: the call has come to the server long before its end.
    await expect(getNode(channel, { deadlineMs: 1000 })).rejects.toMatchObject({
      code: 'PXM_DEADLINE_EXCEEDED',
      fields: { peer: 'pve1' },
    });
    expect(started).toBe(2);
    await expect.poll(() => reasons.length).toBe(2);
    await expect.poll(() => server.activeCalls).toBe(0);
  });

  it('streams both ways with back-pressure and reports a failure after the messages', async () => {
    makeServer();
    const never = () => Promise.reject(new Error('not asked'));
    server.addService(GuestServiceService, {
      listGuests: never,
      getGuest: never,
      createContainer: never,
      cloneContainer: never,
      startContainer: never,
      shutdownContainer: never,
      stopContainer: never,
      destroyContainer: never,
      changeContainer: never,
      execContainer: async (messages, _context, write) => {
        for await (const message of messages) {
          if (message.request?.$case !== 'stdin') continue;
          await write({ response: { $case: 'stdout', value: message.request.value } });
        }
        throw new PxmError('PXM_GUEST_NOT_RUNNING', { vmid: '1', node: 'x' });
      },
    });
    const address = `127.0.0.1:${String(await server.listen({ address: '127.0.0.1:0', tls: await tlsOf('pxmgr:agent:n-a') }))}`;
    const channel = open({ address, tls: await tlsOf('pxmgr:controller') });
    const exec = channel.callBidi(channel.client(GuestServiceClient), 'execContainer');
    const chunk = Buffer.alloc(100_000, 'x');
    const sending = (async () => {
      const message: ExecContainerRequest = { request: { $case: 'stdin', value: chunk } };
      for (let i = 0; i < 30; i += 1) await exec.write(message);
      exec.end();
    })();
    let bytes = 0;
    const failure = await (async () => {
      for await (const answer of exec.messages)
        if (answer.response?.$case === 'stdout') bytes += answer.response.value.length;
      return undefined;
    })().catch((error: unknown) => error);
    await sending;
    expect(bytes).toBe(3_000_000);
    expect(failure).toMatchObject({ code: 'PXM_GUEST_NOT_RUNNING' });
  });

  it('cancels the server side when the reader leaves the loop, and ends streams when the server stops', async () => {
    makeServer();
    const never = () => Promise.reject(new Error('not asked'));
    let ended = 0;
    server.addService(OperationServiceService, {
      getOperation: never,
      listOperations: never,
      cancelOperation: never,
      watchOperation: async (_request, context, write) => {
        try {
          for (;;) {
            await write({ event: undefined });
            await new Promise((resolve) => setImmediate(resolve));
            context.signal.throwIfAborted();
          }
        } finally {
          ended += 1;
        }
      },
    });
    const address = `127.0.0.1:${String(await server.listen({ address: '127.0.0.1:0', tls: await tlsOf('pxmgr:agent:n-a') }))}`;
    const channel = open({ address, tls: await tlsOf('pxmgr:controller') });
    const client = channel.client(OperationServiceClient);
    for await (const message of channel.callStream(client, 'watchOperation', { id: 'x', afterSeq: 0n })) {
      expect(message).toEqual({ event: undefined });
      break;
    }
    await expect.poll(() => ended).toBe(1);
    const second = (async () => {
      let stopped = false;
      for await (const _message of channel.callStream(client, 'watchOperation', { id: 'x', afterSeq: 0n })) {
        if (!stopped) void server.stop(5000);
        stopped = true;
      }
    })();
    await expect(second).rejects.toMatchObject({ code: 'PXM_SHUTTING_DOWN' });
  });

  it('logs one line at the start and one at the end with peer and trace', async () => {
    const lines: Record<string, unknown>[] = [];
    const logger = createLogger({
      service: 'test',
      version: '0',
      level: 'debug',
      stream: { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) },
    });
    const channel = open({ address: await listen({ logger }), tls: await tlsOf('pxmgr:controller') });
    await getNode(channel);
    await channel.call(channel.client(NodeServiceClient), 'resyncInventory', { kinds: [] }).catch(() => undefined);
    expect(lines.map((line) => [line['level'], line['msg'], line['rpc'], line['peer']])).toEqual([
      ['debug', 'call started', 'pxmgr.agent.v1.NodeService/GetNode', 'controller'],
      ['debug', 'call ended', 'pxmgr.agent.v1.NodeService/GetNode', 'controller'],
      ['info', 'call started', 'pxmgr.agent.v1.NodeService/ResyncInventory', 'controller'],
      ['info', 'call failed', 'pxmgr.agent.v1.NodeService/ResyncInventory', 'controller'],
    ]);
    expect(lines[3]?.['err']).toMatchObject({ code: 'PXM_GUEST_LOCKED', chain: ['task 1 holds it'] });
  });
});
