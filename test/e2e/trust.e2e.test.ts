/** Who may do what on a running fleet: certificates, roles, tokens, revocation. Each refusal has its code and exit code. */
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJoinToken } from '@pxmgr/contract';
import { NodeServiceClient } from '@pxmgr/contract/agent';
import { FleetServiceClient } from '@pxmgr/contract/controller';
import type { CommandResult } from '@pxmgr/kit/exec/command';
import { createCa, issueCertificate } from '@pxmgr/kit/pki/ca';
import { validityOf } from '@pxmgr/kit/pki/certificate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { bundle } from '../../deploy/stand/stand-dir.ts';
import { waitFor } from '../../deploy/stand/wait.ts';
import { agentTls, certificateFrom, codeOf, pem, shownSerial } from './certificates.ts';
import { errorCode, TEST_LIMIT_MS, TestFleet, WAIT_LIMIT_MS } from './fleet.ts';

let fleet: TestFleet;
let addresses: { readonly listen: string; readonly join: string; readonly agent: string };

interface Files {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** As an administrator makes it on the controller's machine. */
async function operator(name: string, role: string): Promise<Files> {
  const folder = fleet.dir.path('operators', name);
  const said = await fleet.cli.text(['operator', 'create', name, '--role', role, '--out', folder]);
  expect(said).toContain(`controller: ${addresses.listen}\nca_file: ${join(folder, 'ca.crt')}\n`);
  expect(statSync(join(folder, `${name}.key`)).mode & 0o777).toBe(0o600);
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

interface AuditRow {
  readonly identity: string;
  readonly method: string;
  readonly target: string;
  readonly outcome: string;
}

/** The newest rows first, as an administrator reads them. */
async function audit(...args: readonly string[]): Promise<AuditRow[]> {
  const rows = await fleet.cli.json<(AuditRow & { id: number; at: string })[]>(['audit', 'list', ...args]);
  return rows.map(({ identity, method, target, outcome }) => ({ identity, method, target, outcome }));
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
  it('come and go: made, listed, revoked; what is revoked opens nothing from then on', async () => {
    const rita = await operator('rita', 'admin');
    expect(outcome(await tcp(rita, ['status']))).toEqual({ code: '', exit: 0 });
    expect(await fleet.cli.text(['operator', 'list', '-o', 'name'])).toContain('rita\n');
    await fleet.cli.text(['operator', 'revoke', 'rita', '--yes']);
    expect(outcome(await tcp(rita, ['status']))).toEqual({ code: 'PXM_AUTH_REVOKED', exit: 5 });
    expect(await fleet.cli.text(['operator', 'list', '-o', 'name'])).not.toContain('rita');
    const again = await fleet.refused(['operator', 'revoke', 'rita', '--yes']);
    expect(again).toMatchObject({ code: 'PXM_OPERATOR_NOT_FOUND', exit: 3 });
    expect((await audit('--who', 'operator:rita'))[0]).toMatchObject({ outcome: 'PXM_AUTH_REVOKED' });
    const files = { folder: fleet.file('taken', ''), name: 'ann' };
    const nowhere = await fleet.refused(['operator', 'create', files.name, '--out', files.folder]);
    expect(nowhere).toMatchObject({ code: 'PXM_FILE_DENIED', exit: 5 });
  });

  it('are too late with a certificate that ended', async () => {
    const { ca } = await operator('edda', 'viewer');
    const old = await certificateFrom(fleet.controller.stateDir, {
      uri: 'pxmgr:operator:edda:viewer',
      daysAgo: 400,
      days: 365,
    });
    const files = { ca, cert: fleet.file('old.crt', old.certificate), key: fleet.file('old.key', old.privateKey) };
    expect(outcome(await tcp(files, ['status']))).toEqual({ code: 'PXM_AUTH_EXPIRED', exit: 5 });
  });

  it('work over TCP with the certificate that "operator create" makes, as far as their role goes', async () => {
    const viewer = await operator('vera', 'viewer');
    const admin = await operator('alma', 'admin');
    expect(outcome(await tcp(viewer, ['node', 'list', '-o', 'name']))).toEqual({ code: '', exit: 0 });
    expect(outcome(await tcp(viewer, ['node', 'token', 'create']))).toEqual({ code: 'PXM_FORBIDDEN', exit: 5 });
    expect(outcome(await tcp(viewer, ['node', 'leave', 'pve1', '--yes']))).toEqual({ code: 'PXM_FORBIDDEN', exit: 5 });
    expect(outcome(await tcp(admin, ['node', 'token', 'create']))).toEqual({ code: '', exit: 0 });
    expect(outcome(await tcp(viewer, ['audit', 'list']))).toEqual({ code: 'PXM_FORBIDDEN', exit: 5 });
    expect(await audit('--limit', '6')).toEqual([
      { identity: 'operator:vera', method: 'AccessService/ListAudit', target: '', outcome: 'PXM_FORBIDDEN' },
      { identity: 'operator:alma', method: 'FleetService/CreateToken', target: '', outcome: 'OK' },
      { identity: 'operator:vera', method: 'FleetService/RevokeNode', target: '', outcome: 'PXM_FORBIDDEN' },
      { identity: 'operator:vera', method: 'FleetService/CreateToken', target: '', outcome: 'PXM_FORBIDDEN' },
      { identity: 'operator:root', method: 'AccessService/CreateOperator', target: 'alma', outcome: 'OK' },
      { identity: 'operator:root', method: 'AccessService/CreateOperator', target: 'vera', outcome: 'OK' },
    ]);
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
    const [row] = await audit();
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
    const refused = (await audit('--who', 'anonymous')).map((row) => `${row.target} ${row.outcome}`);
    expect(refused).toEqual(['pve8 PXM_TOKEN_USED', 'pve1 PXM_NODE_NAME_TAKEN']);
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

describe('an agent', () => {
  const files = (): { certificate: string; key: string; uid: string } => {
    const identity = join(fleet.node('pve1').stateDir, 'identity');
    const { nodeUid } = JSON.parse(pem(join(identity, 'membership.json'))) as { nodeUid: string };
    return { certificate: join(identity, 'agent.crt'), key: join(identity, 'agent.key'), uid: nodeUid };
  };
  const age = async (daysAgo: number): Promise<string> => {
    const { certificate, key, uid } = files();
    const old = await certificateFrom(fleet.controller.stateDir, { uri: `pxmgr:agent:${uid}`, daysAgo, days: 30 });
    writeFileSync(certificate, old.certificate);
    writeFileSync(key, old.privateKey);
    return validityOf(old.certificate).serial;
  };

  it(
    'whose certificate is past two thirds of its life renews it while it works',
    async () => {
      const node = fleet.node('pve1');
      await node.stop();
      const old = await age(25);
      await node.start();
      const { pid } = node;
      const renewed = await waitFor('the certificate is renewed', WAIT_LIMIT_MS, () => {
        const found = existsSync(files().certificate) ? validityOf(pem(files().certificate)) : undefined;
        return found === undefined || found.serial === old ? undefined : found;
      });
      await waitFor('the agent shows it', WAIT_LIMIT_MS, async () =>
        (await shownSerial(addresses.agent)) === renewed.serial ? true : undefined,
      );
      await node.waitUp();
      expect(node.pid).toBe(pid);
      // pve7 has joined and has no agent: the check names it, and must not go on naming this one.
      await waitFor('the controller reaches the agent', WAIT_LIMIT_MS, async () => {
        const { stdout } = await fleet.cli.run(['selftest', '-o', 'json']);
        const { item } = JSON.parse(stdout) as { item: { code: string; detail: string }[] };
        const detail = item.find((one) => one.code === 'CHECK_AGENT_CALL')?.detail;
        return detail === undefined || detail.includes('pve1') ? undefined : true;
      });
      const rows = await audit('--who', `agent:${files().uid}`, '--limit', '1');
      expect(rows).toMatchObject([{ method: 'FleetService/RenewNode', outcome: 'OK' }]);
    },
    TEST_LIMIT_MS,
  );

  it(
    'that was away too long is refused, and comes back by a new token',
    async () => {
      const node = fleet.node('pve1');
      await node.stop();
      await age(40);
      node.startOnly();
      const log = join(fleet.dir.logs, 'agent-pve1.log');
      await waitFor('the agent says why', WAIT_LIMIT_MS, () =>
        /PXM_AUTH_EXPIRED.*this node has to join again/.test(pem(log)) ? true : undefined,
      );
      const inside = { address: addresses.listen, tls: agentTls(node.stateDir), kind: 'controller' as const };
      expect(await codeOf(inside, FleetServiceClient, ['renewNode', { certificateRequest: '' }])).toBe(
        'PXM_AUTH_EXPIRED',
      );
      await node.stop();
      await fleet.cli.text(['node', 'leave', 'pve1', '--yes']);
      await node.join((await fleet.cli.text(['node', 'token', 'create', '--node', 'pve1'])).trim(), '--force');
      await node.start();
    },
    TEST_LIMIT_MS,
  );
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
