/** Every service of the controller with fixed answers, on a real gRPC server behind a UNIX socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { CHANGE_KINDS } from '@pxmgr/contract';
import { ResolveImageResponse } from '@pxmgr/contract/agent';
import { ContainerChange, type Operation } from '@pxmgr/contract/common';
import {
  AccessServiceService,
  ChangeServiceService,
  FleetServiceService,
  GuestServiceService,
  InventoryServiceService,
  OperationServiceService,
  PlacementServiceService,
} from '@pxmgr/contract/controller';
import { PxmError } from '@pxmgr/kit/error/pxm-error';
import { createLogger } from '@pxmgr/kit/log/logger';
import { createRpcServer } from '@pxmgr/kit/rpc/server';
import { AUDIT, OPERATORS } from './access-data.ts';
import { ago, CHECKS, IMAGE_DIGEST, NODES, NOW, OBJECTS, STATUS } from './fleet-data.ts';
import {
  actionPlan,
  CHANGES,
  CREATE_PLAN,
  changePlan,
  clonePlan,
  DONE,
  EVALUATION,
  EVENTS,
  FAILED,
  NOWHERE,
  OP_FAILED,
  PULL_PLAN,
  RESERVATIONS,
} from './work-data.ts';

export interface FakeController {
  /** unix:/... */
  readonly address: string;
  /** Short names of the methods called since the last look. */
  calls(): string[];
  stop(): Promise<void>;
}

const refuse = (): never => {
  throw new Error('the CLI has no use for this call');
};

function nodeNamed(key: string): (typeof NODES)[number] {
  const node = NODES.find((candidate) => candidate.name === key || candidate.uid === key);
  if (node === undefined) throw new PxmError('PXM_NODE_NOT_FOUND', { node: key });
  return node;
}

function operationNamed(id: string): Operation {
  if (id === DONE.id) return DONE;
  if (id === OP_FAILED) return FAILED;
  throw new PxmError('PXM_OPERATION_NOT_FOUND', { operation: id });
}

function object(kind: string, key: string): (typeof OBJECTS)[number] {
  const found = OBJECTS.find(({ id, document }) => {
    const name = document?.document?.$case === 'container' ? document.document.value.name : '';
    return id === key || name === key;
  });
  if (found === undefined || found.kind !== kind) throw new PxmError('PXM_GUEST_NOT_FOUND', { guest: key, where: '' });
  return found;
}

function imageAnswer(reference: string): ResolveImageResponse {
  return ResolveImageResponse.fromPartial({
    image: { reference, digest: IMAGE_DIGEST, platform: 'linux/amd64', sizeBytes: 59_768_832n },
    config: {
      entrypoint: ['/bin/sh', '-c', 'run it'],
      env: ['PATH=/bin', 'PORT=80'],
      user: 'web',
      workingDir: '/srv',
      volumes: ['/data'],
      exposedPorts: ['80/tcp'],
      stopSignal: 'SIGTERM',
      created: '2026-01-01T00:00:00Z',
      layerDigests: ['a', 'b'],
    },
  });
}

type Plan = Awaited<ReturnType<typeof actionPlan>>;

function changePlanOf(change: ContainerChange | undefined): Plan {
  const one = change?.change;
  if (one === undefined) throw new Error('a change is needed');
  return changePlan(CHANGE_KINDS[one.$case], `${one.$case} ${wireText(change)} of container web (100)`);
}

/** As it came over the wire; sizes are texts there. */
function wireText(change: ContainerChange | undefined): string {
  return JSON.stringify(ContainerChange.toJSON(change ?? { change: undefined }));
}

/** As the real one: a dry run has no id, commands are shown when asked for. */
function asked(plan: Plan, { dryRun, showCommands }: { dryRun: boolean; showCommands: boolean }): Plan {
  const steps = showCommands ? plan.steps : plan.steps.map((step) => ({ ...step, commands: [] }));
  return { ...plan, id: dryRun ? '' : plan.id, steps };
}

/** Work for people in a hurry: what is asked is answered at once, nothing is checked twice. */
export async function startFakeController(): Promise<FakeController> {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-cli-'));
  const called: string[] = [];
  const server = createRpcServer({
    logger: createLogger({
      service: 'fake',
      version: '0',
      level: 'fatal',
      stream: new Writable({ write: (_c, _e, done) => done() }),
    }),
    program: 'pxmgr-controller',
    authorise: (_identity, method) => void called.push(method.slice(method.lastIndexOf('.') + 1)),
  });
  server
    .addService(FleetServiceService, {
      getStatus: () => Promise.resolve(STATUS),
      listNodes: () => Promise.resolve({ nodes: [...NODES] }),
      getNode: async ({ node }) => await Promise.resolve({ node: nodeNamed(node) }),
      createToken: ({ nodeName }) => Promise.resolve({ token: 'pxj1.eyJhIjoiY3RsIn0', expiresAt: ago(-900), nodeName }),
      revokeNode: async ({ node }) => await Promise.resolve({ uid: nodeNamed(node).uid, name: nodeNamed(node).name }),
      runSelftest: () => Promise.resolve({ checks: [...CHECKS] }),
      renewNode: refuse,
    })
    .addService(AccessServiceService, {
      createOperator: async ({ name }) =>
        await Promise.reject(new PxmError('PXM_INPUT_INVALID', { count: '1', problems: `name "${name}" is none` })),
      listOperators: async ({ all }) =>
        await Promise.resolve({ operators: all ? [...OPERATORS] : OPERATORS.slice(0, 1) }),
      revokeOperator: async () => await Promise.resolve({ operators: OPERATORS.slice(0, 1) }),
      listAudit: async ({ identity }) =>
        await Promise.resolve({ entries: AUDIT.filter((one) => identity === '' || one.identity === identity) }),
    })
    .addService(InventoryServiceService, {
      listInventory: async ({ kind, node }) => {
        if (node !== '') nodeNamed(node);
        const objects = OBJECTS.filter((one) => one.kind === kind && (node === '' || one.nodeName === node));
        return await Promise.resolve({ objects, staleNodes: ['pve2'], nextPageToken: '' });
      },
      getInventory: async ({ kind, key }) => await Promise.resolve({ object: object(kind, key) }),
      watchInventory: refuse,
    })
    .addService(ChangeServiceService, {
      listChanges: ({ limit, object: id }) =>
        Promise.resolve({ changes: CHANGES.filter((one) => id === '' || one.objectId === id).slice(0, limit) }),
      getChange: async ({ id }) => {
        const change = CHANGES.find((one) => one.id === id);
        if (change === undefined) throw new PxmError('PXM_CHANGE_NOT_FOUND', { change: String(id) });
        return await Promise.resolve({ change });
      },
    })
    .addService(OperationServiceService, {
      getOperation: async ({ id }) => await Promise.resolve({ operation: operationNamed(id) }),
      listOperations: ({ activeOnly }) => Promise.resolve({ operations: activeOnly ? [] : [DONE, FAILED] }),
      watchOperation: async ({ id }, _context, write) => {
        const operation = operationNamed(id);
        if (operation === DONE) for (const event of EVENTS) await write({ event });
        else
          await write({
            event: { operationId: id, seq: 1n, at: NOW, step: 0, event: { $case: 'operation', value: operation } },
          });
      },
      cancelOperation: async ({ id }) => {
        operationNamed(id);
        throw await Promise.resolve(new PxmError('PXM_OPERATION_ENDED', { operation: id, state: 'done' }));
      },
    })
    .addService(PlacementServiceService, {
      evaluatePlacement: ({ spec }) => Promise.resolve({ evaluation: spec?.name === 'huge' ? NOWHERE : EVALUATION }),
      getEvaluation: async ({ id }) => {
        if (id !== DONE.id && id !== EVALUATION.id) throw new PxmError('PXM_EVALUATION_NOT_FOUND', { id });
        return await Promise.resolve({ evaluation: EVALUATION });
      },
      planContainer: async (request) => {
        if (request.spec?.name === 'huge')
          throw new PxmError('PXM_PLACEMENT_INFEASIBLE', {
            name: 'huge',
            summary: 'pve1: too little memory.',
            evaluation: NOWHERE.id,
          });
        return await Promise.resolve({ plan: asked(CREATE_PLAN, request), evaluation: EVALUATION });
      },
      planAction: async (request) => {
        const { action } = request;
        if (action?.$case === 'pull') return { plan: asked(PULL_PLAN, request) };
        object('container', action?.value.guest?.key ?? '');
        if (action?.$case === 'clone') return { plan: asked(clonePlan(action.value), request) };
        if (action?.$case === 'change') return { plan: asked(changePlanOf(action.value.change), request) };
        return await Promise.resolve({ plan: asked(actionPlan(action?.$case ?? ''), request) });
      },
      applyPlan: () => Promise.resolve({ operation: DONE }),
      listReservations: ({ all }) =>
        Promise.resolve({ reservations: all ? [...RESERVATIONS] : RESERVATIONS.slice(0, 1) }),
    })
    .addService(GuestServiceService, {
      execGuest: async (messages, _context, write) => {
        for await (const { request } of messages) {
          if (request?.$case === 'stdin') await write({ response: { $case: 'stdout', value: request.value } });
          if (request?.$case === 'stdinClosed') break;
        }
        await write({ response: { $case: 'stdout', value: Buffer.from('out\n') } });
        await write({ response: { $case: 'stderr', value: Buffer.from('err\n') } });
        await write({ response: { $case: 'exitCode', value: 3 } });
      },
      inspectImage: ({ reference }) => Promise.resolve({ nodeName: 'pve1', image: imageAnswer(reference) }),
    });
  const path = join(folder, 's');
  await server.listenUnix(path);
  return {
    address: `unix:${path}`,
    calls: () => called.splice(0),
    stop: async () => {
      await server.stop(1000);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
