/** Fixed work of the fake controller: an evaluation, plans, operations with their events, changes, reservations. */
import { Operation, OperationEvent, OperationState } from '@pxmgr/contract/common';
import { Change, type CloneAction, Evaluation, Plan, Reservation } from '@pxmgr/contract/controller';
import { ago, IMAGE_DIGEST } from './fleet-data.ts';

const MIB = 1024n ** 2n;
export const OP_DONE = 'op-01kahq5v3m8n9p7r6s5t4w2x1a';
export const OP_FAILED = 'op-01kahq5v3m8n9p7r6s5t4w2x1b';
const PLAN = 'pl-01kahq5v3m8n9p7r6s5t4w2x1c';
const UPID = 'UPID:pve1:00007765:0007A08A:6B0042AE:vzcreate:101:root@pam:';

export const EVALUATION = Evaluation.fromPartial({
  id: 'ev-01kahq5v3m8n9p7r6s5t4w2x1d',
  at: ago(5),
  chosenNodeUid: 'n-aaaaaaaaaaaaaaaa',
  chosenNodeName: 'pve1',
  chosenStorage: 'local-zfs',
  chosenDevices: ['/dev/dri/renderD128'],
  summary: 'pve1 is the best of 2 nodes that fit: ahead of pve3 in pool and memory.',
  candidates: [
    {
      nodeName: 'pve1',
      feasible: true,
      rank: 1,
      total: 0.91,
      scores: [
        { name: 'memory', weight: 0.3, value: 0.98, text: '98 % of the memory stays free' },
        { name: 'image', weight: 0.1, value: 0, text: '57 MiB must be pulled' },
      ],
    },
    {
      nodeName: 'pve3',
      feasible: true,
      rank: 2,
      total: 0.64,
      scores: [{ name: 'memory', weight: 0.3, value: 0.7, text: '70 % of the memory stays free' }],
    },
    {
      nodeName: 'pve2',
      reasons: [
        { filter: 'presence', text: 'the node does not answer' },
        {
          filter: 'gpu',
          text: '1 amd GPU wanted, found 0000:01:00.0 nvidia which is a card that other guests use already',
        },
      ],
    },
  ],
});

export const NOWHERE = Evaluation.fromPartial({
  id: 'ev-01kahq5v3m8n9p7r6s5t4w2x1e',
  summary: 'No node fits: pve1: too little memory.',
  candidates: [{ nodeName: 'pve1', reasons: [{ filter: 'memory', text: '2 TiB wanted, 25 GiB free' }] }],
});

const STEPS = [
  { index: 1, name: 'image.pull', title: 'pull web:1.27 to pve1' },
  { index: 2, name: 'container.create', title: 'create container web (101) on pve1' },
];

export const CREATE_PLAN = Plan.fromPartial({
  id: PLAN,
  title: 'create container web (101) on pve1',
  nodeName: 'pve1',
  vmid: 101,
  steps: [
    {
      index: 1,
      kind: 'image.pull',
      title: 'pull web:1.27 to pve1',
      commands: [
        {
          argv: ['skopeo', 'copy', 'docker://registry.example.org/shop/web:1.27', 'oci:/var/lib/x y'],
          purpose: 'fetch',
        },
        { argv: [], purpose: 'check every blob of the image', internal: true },
      ],
    },
    {
      index: 2,
      kind: 'container.create',
      title: 'create container web (101) on pve1',
      undo: 'destroy container 101 if it is the one made here',
      commands: [{ argv: ['pct', 'create', '101', 'local:vztmpl/web.tar', '--tags', 'pxmgr;shop'], purpose: 'create' }],
    },
  ],
  spec: {
    name: 'web',
    source: {
      $case: 'image',
      value: { reference: 'registry.example.org/shop/web:1.27', digest: IMAGE_DIGEST, platform: 'linux/amd64' },
    },
    cores: 1,
    memoryBytes: 512n * MIB,
    rootfsBytes: 4096n * MIB,
    storage: 'local-zfs',
    mounts: [
      { target: '/media', source: { $case: 'dataset', value: 'tank/media' }, readOnly: true },
      { target: '/data', source: { $case: 'volume', value: { storage: '', sizeBytes: 4096n * MIB } } },
    ],
    networks: [{ name: 'eth0', bridge: 'vmbr0', ipv4: 'dhcp' }],
  },
});

export const PULL_PLAN = Plan.fromPartial({
  id: PLAN,
  title: 'pull registry.example.org/shop/web:1.27 to pve1',
  steps: [{ index: 1, kind: 'image.pull', title: 'pull registry.example.org/shop/web:1.27 to pve1' }],
  spec: {
    source: { $case: 'image', value: { reference: 'registry.example.org/shop/web:1.27', digest: IMAGE_DIGEST } },
  },
});

export function actionPlan(verb: string): Plan {
  return Plan.fromPartial({
    id: PLAN,
    title: `${verb} container web (100) on pve1`,
    nodeName: 'pve1',
    vmid: 100,
    steps: [
      {
        index: 1,
        kind: `container.${verb}`,
        title: `${verb} container web (100) on pve1`,
        commands: [{ argv: ['pct', verb, '100'], purpose: verb }],
      },
      { index: 2, kind: 'inventory.confirm', title: 'see it in the inventory' },
    ],
  });
}

export function changePlan(kind: string, title: string): Plan {
  return Plan.fromPartial({
    id: PLAN,
    title: `${title} on pve1`,
    nodeName: 'pve1',
    vmid: 100,
    steps: [
      { index: 1, kind, title: `${title} on pve1`, commands: [{ argv: ['pct', '...', '100'], purpose: title }] },
      { index: 2, kind: 'inventory.confirm', title: 'see it in the inventory' },
    ],
  });
}

export function clonePlan({ guest, name, vmid, snapshot, storage, full }: CloneAction): Plan {
  const title = `clone container ${guest?.key ?? ''} ${snapshot} as ${name} (${vmid}) on pve1, ${full ? 'full' : 'linked'}`;
  return Plan.fromPartial({
    id: PLAN,
    title,
    nodeName: 'pve1',
    vmid: 102,
    steps: [
      { index: 1, kind: 'container.clone', title, undo: 'destroy container 102 if it is the one made here' },
      { index: 2, kind: 'inventory.confirm', title: 'see it in the inventory' },
      { index: 3, kind: 'reservation.release', title: 'release the reservation' },
    ],
    spec: { name, cores: 2, memoryBytes: 512n * MIB, storage, rootfsBytes: full ? 4096n * MIB : 0n },
  });
}

export const DONE = Operation.fromPartial({
  id: OP_DONE,
  kind: 'plan.apply',
  state: OperationState.OPERATION_STATE_DONE,
  title: 'create container web (101) on pve1',
  nodeName: 'pve1',
  vmid: 101,
  planId: PLAN,
  createdAt: ago(130),
  startedAt: ago(129),
  endedAt: ago(120),
  upids: [UPID],
  results: { vmid: '101', addresses: '198.51.100.10/24', guest_uid: 'fefdcf0dc1a7a955a0138664c10539e8' },
  warnings: ['the image names no user: it runs as root of the container'],
  steps: STEPS.map((step) => ({
    ...step,
    state: OperationState.OPERATION_STATE_DONE,
    startedAt: ago(129),
    endedAt: ago(124),
  })),
});

export const FAILED = Operation.fromPartial({
  ...DONE,
  id: OP_FAILED,
  state: OperationState.OPERATION_STATE_FAILED,
  title: 'start container web (100) on pve1',
  vmid: 100,
  results: {},
  warnings: [],
  steps: [],
  problem: {
    code: 'PXM_GUEST_LOCKED',
    message: 'container 100 on pve1 is locked (backup)',
    hint: 'wait for the task that holds the lock',
    fields: { vmid: '100', node: 'pve1', lock: 'backup' },
  },
});

let seq = 0n;
function event(inner: OperationEvent['event']): OperationEvent {
  seq += 1n;
  return OperationEvent.fromPartial({ operationId: OP_DONE, seq, at: ago(125), event: inner });
}

function step(index: number, state: OperationState, detail = ''): OperationEvent {
  const known = STEPS[index - 1] ?? { index, name: '', title: '' };
  const ended = state === OperationState.OPERATION_STATE_DONE ? { endedAt: ago(124) } : {};
  return event({
    $case: 'stepChanged',
    value: { ...known, state, detail, startedAt: ago(129), endedAt: undefined, agentOperationId: '', ...ended },
  });
}

const RUNNING = OperationState.OPERATION_STATE_RUNNING;
const COPY = { argv: ['skopeo', 'copy', 'docker://registry.example.org/shop/web:1.27'], purpose: 'fetch' };

export const EVENTS: readonly OperationEvent[] = [
  step(1, RUNNING),
  event({
    $case: 'command',
    value: {
      command: { ...COPY, stdinNote: '', internal: false },
      exitCode: 0,
      signal: '',
      durationMs: 0,
      finished: false,
    },
  } as OperationEvent['event']),
  event({ $case: 'bytes', value: { label: 'fetch', done: 0n, total: 57n * MIB } }),
  event({ $case: 'bytes', value: { label: 'fetch', done: 57n * MIB, total: 57n * MIB } }),
  step(1, OperationState.OPERATION_STATE_DONE),
  step(2, RUNNING, 'create container 101'),
  event({ $case: 'log', value: { stream: 'warning', text: 'the agent on pve1 does not answer; trying on' } }),
  step(2, OperationState.OPERATION_STATE_DONE),
  event({ $case: 'operation', value: DONE }),
];

export const CHANGES: readonly Change[] = [
  Change.fromPartial({
    id: 42n,
    observedAt: ago(61),
    recordedAt: ago(60),
    nodeName: 'pve1',
    kind: 'container',
    objectId: '100',
    objectName: 'web',
    action: 'updated',
    author: 'operator:alice',
    operationId: OP_DONE,
    upid: UPID,
    summary: 'status: stopped -> running; memory: 512 -> 1024; env changed: GREETING and 2 more',
    fields: [
      {
        path: 'container.config.env',
        before: 'PATH=hmac:37\nGREETING=hmac:4b',
        after: 'PATH=hmac:37\nGREETING=hmac:5c',
      },
      { path: 'container.config.memory', before: '512', after: '1024' },
      { path: 'container.status', before: 'stopped', after: 'running' },
    ],
  }),
  Change.fromPartial({
    id: 41n,
    observedAt: ago(7200),
    nodeName: 'pve1',
    kind: 'image',
    objectId: IMAGE_DIGEST,
    objectName: 'registry.example.org/shop/web:1.27',
    action: 'created',
    summary: 'created',
  }),
];

export const RESERVATIONS: readonly Reservation[] = [
  Reservation.fromPartial({
    id: 'rs-01kahq5v3m8n9p7r6s5t4w2x1f',
    nodeName: 'pve1',
    vmid: 101,
    memoryBytes: 512n * MIB,
    storage: 'local-zfs',
    storageBytes: 8192n * MIB,
    devices: ['0000:01:00.0'],
    planId: PLAN,
    state: 'active',
    createdAt: ago(20),
    expiresAt: ago(-3580),
    fencingToken: 3n,
    title: 'container web',
  }),
  Reservation.fromPartial({
    id: 'rs-01kahq5v3m8n9p7r6s5t4w2x1g',
    nodeName: 'pve1',
    memoryBytes: 512n * MIB,
    state: 'released',
    createdAt: ago(4000),
    endedAt: ago(3900),
    endReason: 'observed in inventory',
  }),
];
