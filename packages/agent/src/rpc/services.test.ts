import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InventoryKind } from '@pxmgr/contract';
import {
  type ExecContainerRequest,
  type ExecContainerResponse,
  GuestServiceClient,
  NodeServiceClient,
  OperationServiceClient,
} from '@pxmgr/contract/agent';
import { OperationState, type Order } from '@pxmgr/contract/common';
import { systemClock } from '@pxmgr/kit/clock';
import { createLogger } from '@pxmgr/kit/log/logger';
import { createChannel } from '@pxmgr/kit/rpc/channel';
import { createRpcServer, type RpcServer } from '@pxmgr/kit/rpc/server';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type FixtureHost, makeHost, specOf, UID } from '../guest/host.fixture.ts';
import { readJournal } from '../operation/journal-replay.ts';
import { authoriseAgentCall } from './authorise.ts';
import type { NodeView } from './node-view.ts';
import { addServices } from './services.ts';
import { createWorkStack, type WorkStack } from './work-stack.ts';

const CONFIG = `hostname: web\nrootfs: local:101/vm-101-disk-0.raw\nlxc.environment.hooks: PXMGR_GUEST=${UID}\n`;

let host: FixtureHost;
let directory: string;
let server: RpcServer;
let stack: WorkStack;
let channel: ReturnType<typeof createChannel>;
let known: InventoryKind[];

beforeEach(async () => {
  known = [];
  host = await makeHost();
  host.putGuest(101, CONFIG);
  directory = await mkdtemp(join(tmpdir(), 'pxmgr-rpc-'));
  const logger = createLogger({ service: 'test', version: '0', level: 'silent' });
  const options = {
    stateDir: directory,
    templateStorage: '',
    imageCacheSize: 2 ** 30,
    registryAuthFile: '',
    insecureRegistries: [],
    signaturePolicyFile: '',
  };
  const { paths, cluster, runState, runner } = host.parts;
  stack = await createWorkStack({
    options,
    nodeUid: 'n-test',
    paths,
    cluster,
    runState,
    runner,
    clock: systemClock,
    logger,
    onJournalFailure: (error) => {
      throw error;
    },
  });
  await stack.recover();
  const view: NodeView = {
    nodeUid: 'n-test',
    nodeName: 'pve1',
    position: () => ({ generation: 1n, revision: 1n }),
    objects: () => [],
    knownKinds: () => known,
    resync: () => 0,
  };
  server = addServices(createRpcServer({ logger, program: 'pxmgr-agent', authorise: authoriseAgentCall }), stack, view);
  await server.listenUnix(join(directory, 'socket'));
  channel = createChannel({ address: `unix:${join(directory, 'socket')}` });
});

afterEach(async () => {
  channel.close();
  await server.stop(100);
  await stack.stop();
  host.remove();
  await rm(directory, { recursive: true, force: true });
});

function order(change: Partial<Order> = {}): Order {
  return {
    idempotencyKey: 'pl-1/0',
    planId: 'pl-1',
    planGeneration: 1n,
    fencingToken: 5n,
    actor: 'operator:anna',
    dryRun: false,
    ...change,
  };
}

it('carries an operation from the order to its last event, once per key', async () => {
  const guest = channel.client(GuestServiceClient);
  const operations = channel.client(OperationServiceClient);
  host.runner.expect('pct start 101', {
    lines: ['starting'],
    effect: () => {
      host.setRunning(101);
    },
  });
  const request = {
    order: order(),
    vmid: 101,
    guestUid: UID,
    readiness: { kind: 'none', port: 0, path: '', timeoutSeconds: 0 },
  };
  const { operation } = await channel.call(guest, 'startContainer', request, {});
  const id = operation?.id ?? '';
  const cases: string[] = [];
  for await (const { event } of channel.callStream(operations, 'watchOperation', { id, afterSeq: 0n }, {})) {
    cases.push(event?.event?.$case ?? '');
  }
  expect(cases.at(-1)).toBe('operation');
  expect(cases).toContain('log');
  const again = await channel.call(guest, 'startContainer', request, {});
  expect(again.operation).toMatchObject({ id, state: OperationState.OPERATION_STATE_DONE });
  const found = await channel.call(
    operations,
    'getOperation',
    { key: { $case: 'idempotencyKey', value: 'pl-1/0' } },
    {},
  );
  expect(found.operation?.id).toBe(operation?.id);
  // An agent that dies before it is ready has to know what that is.
  const journal = await readJournal(join(directory, 'operations'), operation?.id ?? '');
  expect(journal?.params).toMatchObject({ vmid: 101, guestUid: UID, readiness: { kind: 'none' } });
  host.runner.assertDone();
});

it('refuses by code: an overtaken order, a foreign guest, all problems of a spec', async () => {
  const guest = channel.client(GuestServiceClient);
  const stop = (change: Partial<Order>, guestUid = UID) =>
    channel.call(guest, 'stopContainer', { order: order(change), vmid: 101, guestUid }, {});
  await expect(stop({ idempotencyKey: 'a' })).rejects.toMatchObject({ code: 'PXM_GUEST_NOT_RUNNING' });
  await expect(stop({ idempotencyKey: 'b', fencingToken: 4n })).rejects.toMatchObject({ code: 'PXM_GENERATION_OLD' });
  await expect(stop({ idempotencyKey: 'c' }, 'f'.repeat(32))).rejects.toMatchObject({ code: 'PXM_GUEST_FOREIGN' });
  const spec = specOf({ name: '-', storage: '' });
  await expect(
    channel.call(guest, 'createContainer', { order: order(), vmid: 9, guestUid: 'x', spec }, {}),
  ).rejects.toMatchObject({ code: 'PXM_INPUT_INVALID', fields: { count: '4' } });
  expect(host.runner.calls).toEqual([]);
});

it('changes a guest once per key, and refuses an order that names no change', async () => {
  const guest = channel.client(GuestServiceClient);
  host.write('etc/pve/storage.cfg', 'zfspool: local\n\tpool tank\n\tcontent rootdir\n');
  host.runner.expect('pct snapshot 101 s1', {
    effect: () => {
      host.putGuest(101, `${CONFIG}\n[s1]\nmemory: 512\n`);
    },
  });
  const change = { change: { $case: 'createSnapshot' as const, value: { name: 's1', description: '' } } };
  const request = { order: order(), vmid: 101, guestUid: UID, change };
  const { operation } = await channel.call(guest, 'changeContainer', request, {});
  await stack.store.settled(operation?.id ?? '');
  const again = await channel.call(guest, 'changeContainer', request, {});
  expect(again.operation).toMatchObject({ id: operation?.id, state: OperationState.OPERATION_STATE_DONE });
  const none = { ...request, order: order({ idempotencyKey: 'n' }), change: undefined };
  await expect(channel.call(guest, 'changeContainer', none, {})).rejects.toMatchObject({ code: 'PXM_INPUT_INVALID' });
  host.runner.assertDone();
});

it('a dry run shows commands and starts nothing', async () => {
  const guest = channel.client(GuestServiceClient);
  const answer = await channel.call(
    guest,
    'destroyContainer',
    { order: order({ dryRun: true }), vmid: 101, guestUid: UID, force: false },
    {},
  );
  expect(answer.operation).toBeUndefined();
  expect(answer.commands.map((command) => command.argv.join(' '))).toEqual([
    'pct destroy 101 --destroy-unreferenced-disks 1 --purge 1',
  ]);
  expect(stack.store.list({ activeOnly: false, limit: 0 })).toEqual([]);
});

it('exec gives output and status, and hides values of variables', async () => {
  host.setRunning(101);
  host.runner.expect(
    {
      file: 'lxc-attach',
      args: (args) => args.slice(0, 3).join(' ') === '-n 101 --clear-env' && args.slice(-2).join(' ') === '-- env',
    },
    (command) => {
      expect(command.secrets).toEqual(['hunter22']);
      return { stdout: 'hello\n', stderr: 'oops\n', exit: 7 };
    },
  );
  const call = channel.callBidi(channel.client(GuestServiceClient), 'execContainer', {});
  const start: ExecContainerRequest = {
    request: {
      $case: 'start',
      value: {
        vmid: 101,
        argv: ['env'],
        env: [{ name: 'TOKEN', value: 'hunter22', remove: false }],
        timeoutSeconds: 5,
        actor: '',
      },
    },
  };
  await call.write(start);
  const answers: ExecContainerResponse[] = [];
  for await (const message of call.messages) answers.push(message);
  expect(answers.map(({ response }) => [response?.$case, String(response?.value)])).toEqual([
    ['stdout', 'hello\n'],
    ['stderr', 'oops\n'],
    ['exitCode', '7'],
  ]);
});

it('an agent that has not looked yet says so, instead of that there is nothing', async () => {
  const unread = { code: 'PXM_INVENTORY_UNREAD', fields: { node: 'pve1' } };
  await expect(channel.call(channel.client(NodeServiceClient), 'getNode', {}, {})).rejects.toMatchObject(unread);
  const guest = channel.client(GuestServiceClient);
  await expect(channel.call(guest, 'getGuest', { vmid: 101 }, {})).rejects.toMatchObject(unread);
  known = ['container'];
  await expect(channel.call(guest, 'getGuest', { vmid: 101 }, {})).rejects.toMatchObject({
    code: 'PXM_GUEST_NOT_FOUND',
  });
});
