/** Who may do what on a running fleet: certificates, roles, tokens, revocation. Each refusal has its code and exit code. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJoinToken } from '@pxmgr/contract';
import { NodeServiceClient } from '@pxmgr/contract/agent';
import { FleetServiceClient } from '@pxmgr/contract/controller';
import { isPxmError } from '@pxmgr/kit/error/pxm-error';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { createCa, issueCertificate } from '@pxmgr/kit/pki/ca';
import { type ClientConstructor, call, createChannel } from '@pxmgr/kit/rpc/channel';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { bundle } from '../../deploy/stand/stand-dir.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { errorCode, TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';

let fleet: TestFleet;
let addresses: { readonly listen: string; readonly join: string; readonly agent: string };

interface Files {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** `pxmgr-controller operator create`, as a person runs it. */
async function operator(name: string, role: string): Promise<Files> {
  const folder = fleet.dir.path('operators', name);
  const args = ['operator', 'create', name, '--role', role, '--out', folder, '--config', fleet.controller.configFile];
  const result = await fleet.dir.runner.run({
    file: process.execPath,
    args: [bundle('pxmgr-controller'), ...args],
    purpose: 'make an operator',
    timeoutMs: WAIT_LIMIT_MS,
  });
  expect(result.exitCode, result.stderr).toBe(0);
  return { ca: join(folder, 'ca.crt'), cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
}

async function tcp(files: Partial<Files>, args: readonly string[]): Promise<CommandResult> {
  const flags = Object.entries(files).flatMap(([name, path]) => [`--${name}`, path]);
  return await fleet.cli.run([...args, '--controller', addresses.listen, ...flags]);
}

function outcome(result: CommandResult): { code: string; exit: number | null } {
  return { code: errorCode(result), exit: result.exitCode };
}

async function agentJoin(state: string, token: string, more: readonly string[] = []): Promise<CommandResult> {
  const config = fleet.dir.path(`${state}.yaml`);
  const { host } = fleet.node('pve1');
  writeFileSync(config, `host_root: ${host.root}\nstate_dir: ${fleet.dir.path(state)}\nlisten: 127.0.0.1:7450\n`);
  return await fleet.dir.runner.run({
    file: process.execPath,
    args: [bundle('pxmgr-agent'), 'join', '-', '--config', config, ...more],
    stdin: token,
    purpose: 'join',
    timeoutMs: WAIT_LIMIT_MS,
  });
}

/** The newest audit rows, read beside the running controller. */
function audit(): { identity: string; method: string; outcome: string }[] {
  const database = new Database(join(fleet.controller.stateDir, 'controller.db'), { readonly: true });
  try {
    return database
      .prepare<[], { identity: string; method: string; outcome: string }>(
        'SELECT identity, method, outcome FROM audit ORDER BY id DESC LIMIT 20',
      )
      .all();
  } finally {
    database.close();
  }
}

async function codeOf<C extends object>(
  to: { address: string; tls: { ca: string; cert?: string; key?: string }; kind: 'agent' | 'controller' },
  service: ClientConstructor<C>,
  [method, request = {}]: readonly [method: keyof C, request?: object],
): Promise<string> {
  const channel = createChannel({ address: to.address, tls: to.tls, peer: { kind: to.kind } });
  try {
    await call(channel.client(service), method, request as never, { deadlineMs: WAIT_LIMIT_MS });
    return 'OK';
  } catch (error) {
    return isPxmError(error) ? error.code : String(error);
  } finally {
    channel.close();
  }
}

function pem(path: string): string {
  return readFileSync(path, 'utf8');
}

beforeAll(async () => {
  fleet = await TestFleet.start({ nodes: ['pve1', 'pve3'], runtime: 'played' });
  const config = parse(pem(fleet.controller.configFile)) as Record<string, string>;
  const [node] = await fleet.cli.json<{ name: string; agentAddress: string }[]>(['node', 'list']);
  addresses = {
    listen: config['listen'] ?? '',
    join: config['join_listen'] ?? '',
    agent: node?.agentAddress ?? '',
  };
}, TEST_LIMIT_MS);
afterAll(async () => await fleet.stop(), TEST_LIMIT_MS);

describe('operators', () => {
  it('work over TCP with the certificate that "operator create" makes, as far as their role goes', async () => {
    const viewer = await operator('vera', 'viewer');
    const admin = await operator('alma', 'admin');
    expect(outcome(await tcp(viewer, ['node', 'list', '-o', 'name']))).toEqual({ code: '', exit: 0 });
    expect(outcome(await tcp(viewer, ['node', 'token', 'create']))).toEqual({ code: 'PXM_FORBIDDEN', exit: 5 });
    expect(outcome(await tcp(viewer, ['node', 'leave', 'pve1', '--yes']))).toEqual({ code: 'PXM_FORBIDDEN', exit: 5 });
    expect(outcome(await tcp(admin, ['node', 'token', 'create']))).toEqual({ code: '', exit: 0 });
    expect(audit()).toEqual(
      expect.arrayContaining([
        { identity: 'operator:vera', method: 'FleetService/CreateToken', outcome: 'PXM_FORBIDDEN' },
        { identity: 'operator:vera', method: 'FleetService/RevokeNode', outcome: 'PXM_FORBIDDEN' },
        { identity: 'operator:alma', method: 'FleetService/CreateToken', outcome: 'OK' },
      ]),
    );
    expect(await fleet.cli.text(['node', 'list', '-o', 'name'])).toBe('pve1\npve3\n');
  });

  it('are nobody without a certificate, or with that of another fleet', async () => {
    const { ca, cert, key } = await operator('otto', 'admin');
    expect(outcome(await tcp({ ca }, ['status']))).toEqual({ code: 'PXM_CONFIG_INVALID', exit: 2 });
    const foreign = await createCa({ commonName: 'another fleet' });
    const eve = await issueCertificate(foreign, { uri: 'pxmgr:operator:eve:admin', days: 1 });
    const files = {
      ca,
      cert: fleet.file('eve.crt', eve.certificate),
      key: fleet.file('eve.key', eve.privateKey),
    };
    expect(outcome(await tcp(files, ['status']))).toEqual({ code: 'PXM_AUTH_CERTIFICATE_REQUIRED', exit: 5 });
    const theirs = fleet.file('foreign-ca.crt', foreign.certificate);
    expect(outcome(await tcp({ ca: theirs, cert, key }, ['status']))).toEqual({
      code: 'PXM_AUTH_SERVER_UNTRUSTED',
      exit: 5,
    });
    const to = { address: addresses.listen, tls: { ca: pem(ca) }, kind: 'controller' as const };
    expect(await codeOf(to, FleetServiceClient, ['getStatus'])).toBe('PXM_AUTH_CERTIFICATE_REQUIRED');
  });
});

describe('doors', () => {
  it('of the controller: an agent may not do what operators do; the join port knows one service', async () => {
    const identity = fleet.node('pve1').stateDir;
    const tls = agentTls(identity);
    const inside = { address: addresses.listen, tls, kind: 'controller' as const };
    expect(await codeOf(inside, FleetServiceClient, ['listNodes'])).toBe('PXM_FORBIDDEN');
    expect(await codeOf(inside, FleetServiceClient, ['createToken', { nodeName: '', ttlSeconds: 60 }])).toBe(
      'PXM_FORBIDDEN',
    );
    const [row] = audit();
    expect(row?.identity).toMatch(/^agent:n-/);
    expect(row).toMatchObject({ method: 'FleetService/CreateToken', outcome: 'PXM_FORBIDDEN' });
    const join_ = { address: addresses.join, tls: { ca: tls.ca }, kind: 'controller' as const };
    expect(await codeOf(join_, FleetServiceClient, ['getStatus'])).toBe('PXM_CAPABILITY_MISSING');
  });

  it('of an agent: nobody but the controller comes in', async () => {
    const { ca, cert, key } = await operator('ada', 'admin');
    const to = { address: addresses.agent, kind: 'agent' as const };
    const asAdmin = { ...to, tls: { ca: pem(ca), cert: pem(cert), key: pem(key) } };
    expect(await codeOf(asAdmin, NodeServiceClient, ['getNode'])).toBe('PXM_FORBIDDEN');
    const asAgent = { ...to, tls: agentTls(fleet.node('pve3').stateDir) };
    expect(await codeOf(asAgent, NodeServiceClient, ['getNode'])).toBe('PXM_FORBIDDEN');
    expect(await codeOf({ ...to, tls: { ca: pem(ca) } }, NodeServiceClient, ['getNode'])).toBe(
      'PXM_AUTH_CERTIFICATE_REQUIRED',
    );
  });
});

describe('join tokens', () => {
  it.each([
    ['rubbish', 'PXM_TOKEN_MALFORMED', 2],
    ['pxj1.e30', 'PXM_TOKEN_MALFORMED', 2],
  ])('%s is refused', async (token, code, exit) => {
    expect(outcome(await agentJoin('nobody', token))).toEqual({ code, exit });
    expect(existsSync(fleet.dir.path('nobody'))).toBe(false);
  });

  it('work once, for one node, for a while', async () => {
    const create = async (...args: string[]): Promise<string> =>
      (await fleet.cli.text(['node', 'token', 'create', ...args])).trim();
    const other = await create('--node', 'pve9');
    expect(outcome(await agentJoin('nobody', other))).toEqual({ code: 'PXM_TOKEN_NODE_MISMATCH', exit: 4 });
    const short = await create('--ttl', '1s');
    const until = parseJoinToken(short)?.expiresAt ?? new Date(0);
    await waitFor('the token expires', WAIT_LIMIT_MS, () => (new Date() > until ? true : undefined));
    expect(outcome(await agentJoin('nobody', short))).toEqual({ code: 'PXM_TOKEN_EXPIRED', exit: 5 });
    // pve1 is a member already: the name is taken, and the token is not used up by the attempt.
    const open = await create();
    expect(outcome(await agentJoin('nobody', open, ['--node-name', 'pve1']))).toEqual({
      code: 'PXM_NODE_NAME_TAKEN',
      exit: 4,
    });
    expect(outcome(await agentJoin('newcomer', open, ['--node-name', 'pve7']))).toEqual({ code: '', exit: 0 });
    expect(outcome(await agentJoin('replay', open, ['--node-name', 'pve8']))).toEqual({
      code: 'PXM_TOKEN_USED',
      exit: 4,
    });
    expect(outcome(await agentJoin('newcomer', await create(), ['--node-name', 'pve7']))).toEqual({
      code: 'PXM_ALREADY_JOINED',
      exit: 4,
    });
    expect(audit().filter((row) => row.method === 'JoinService/JoinNode' && row.outcome !== 'OK').length).toBe(2);
  });

  it('of another controller are not known', async () => {
    const token = (await fleet.cli.text(['node', 'token', 'create'])).trim();
    const body = JSON.parse(Buffer.from(token.slice('pxj1.'.length), 'base64url').toString('utf8')) as object;
    const forged = { ...body, s: 'A'.repeat(32) };
    const text = `pxj1.${Buffer.from(JSON.stringify(forged)).toString('base64url')}`;
    expect(outcome(await agentJoin('forger', text, ['--node-name', 'pve6']))).toEqual({
      code: 'PXM_TOKEN_INVALID',
      exit: 5,
    });
    const pinned = { ...body, f: '0'.repeat(64) };
    const elsewhere = `pxj1.${Buffer.from(JSON.stringify(pinned)).toString('base64url')}`;
    expect(outcome(await agentJoin('forger', elsewhere, ['--node-name', 'pve6']))).toEqual({
      code: 'PXM_AUTH_SERVER_UNTRUSTED',
      exit: 5,
    });
  });
});

describe('a node that left', () => {
  it(
    'is cut off from calls and from the bus at once',
    async () => {
      const { stateDir } = fleet.node('pve3');
      const to = { address: addresses.listen, tls: agentTls(stateDir), kind: 'controller' as const };
      expect(await codeOf(to, FleetServiceClient, ['listNodes'])).toBe('PXM_FORBIDDEN');
      await fleet.cli.text(['node', 'leave', 'pve3', '--yes']);
      expect(await codeOf(to, FleetServiceClient, ['listNodes'])).toBe('PXM_AUTH_REVOKED');
      const log = join(fleet.dir.logs, 'agent-pve3.log');
      await waitFor('the bus refuses the agent', WAIT_LIMIT_MS, () =>
        /authorization violation|authentication (?:expired|revoked)/i.test(pem(log)) ? true : undefined,
      );
      expect(await fleet.cli.text(['node', 'list', '-o', 'name'])).not.toContain('pve3');
      expect(outcome(await fleet.cli.run(['node', 'get', 'pve3']))).toEqual({ code: 'PXM_NODE_NOT_FOUND', exit: 3 });
    },
    TEST_LIMIT_MS,
  );
});

function agentTls(stateDir: string): { ca: string; cert: string; key: string } {
  const read = (...names: readonly string[]): string => {
    const found = names.map((name) => join(stateDir, name)).find((path) => existsSync(path));
    return pem(found ?? join(stateDir, names[0] ?? ''));
  };
  return {
    ca: read('identity/ca.crt', 'ca.crt'),
    cert: read('identity/agent.crt', 'agent.crt'),
    key: read('identity/agent.key', 'agent.key'),
  };
}
