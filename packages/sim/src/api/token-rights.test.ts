/** What the API refuses to a token of root (pve-container src/PVE/LXC.pm check_ct_modify_config_perm). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ToolIo } from '../call/tool.ts';
import { makeHost, SMALL_TEMPLATE, type TestHost } from '../host.fixture.ts';
import { type RestAnswer, type RestRequest, restAnswer } from './rest.ts';

let node: TestHost;
beforeEach(async () => {
  node = makeHost();
  const rest = [SMALL_TEMPLATE, '--rootfs', 'local:0.05', '--ostype', 'unmanaged'] as const;
  await node.run('pct', 'create', '100', ...rest, '--features', 'nesting=1,keyctl=1');
  await node.run('pct', 'create', '101', ...rest, '--unprivileged', '0');
});
afterEach(() => node.remove());

function ask(method: string, path: string, given: { body?: string; hasRights?: boolean } = {}): Promise<RestAnswer> {
  const { hasRights = true, ...rest } = given;
  const request: RestRequest = { method, path, token: { user: 'root@pam!t', hasRights }, ...rest };
  const io: ToolIo = {
    out: () => undefined,
    err: () => undefined,
    stdin: (async function* () {})(),
    env: {},
    signal: new AbortController().signal,
  };
  return restAnswer(node.host, request, io);
}

const put = (vmid: number, body: string): Promise<RestAnswer> => ask('PUT', `nodes/pve1/lxc/${vmid}/config`, { body });
const onlyRoot = (what: string): object => ({
  status: 403,
  reason: `Permission check failed (${what} is only allowed for root@pam)`,
});

describe('a token of root', () => {
  it.each([
    [100, 'dev0=/dev/null', 'configuring device passthrough'],
    [100, 'delete=dev0', 'configuring device passthrough'],
    [100, 'delete=hookscript', 'changing the hookscript'],
    [100, 'mp0=/etc%2Cmp%3D/x', 'mount point type bind'],
    [100, 'mp0=/dev/sda%2Cmp%3D/x', 'mount point type device'],
    [100, 'features=nesting%3D1', 'changing feature flags (except nesting)'],
    [100, 'delete=features', 'changing feature flags (except nesting)'],
    [101, 'features=nesting%3D1', 'changing feature flags for privileged container'],
    [101, 'delete=features', 'changing feature flags for privileged container'],
  ])('of %i may not %s', async (vmid, body, what) => {
    expect(await put(vmid, body)).toMatchObject(onlyRoot(what));
  });

  it('may change nesting beside flags that stay', async () => {
    expect(await put(100, 'features=keyctl%3D1')).toMatchObject({ status: 200 });
  });

  it('is told of a lock and of a changed file first', async () => {
    expect(await put(100, `dev0=/dev/null&digest=${'0'.repeat(40)}`)).toMatchObject({
      status: 500,
      reason: expect.stringContaining('detected modified configuration') as unknown,
    });
  });

  it('makes no guest with any of it, and may not skip a lock', async () => {
    const create = 'vmid=102&ostemplate=local:vztmpl%2Fnone.tar.gz&rootfs=local:0.05';
    expect(await ask('POST', 'nodes/pve1/lxc', { body: `${create}&dev0=/dev/null` })).toMatchObject(
      onlyRoot('configuring device passthrough'),
    );
    expect(
      await ask('POST', 'nodes/pve1/lxc', { body: `${create}&unprivileged=0&features=nesting%3D1` }),
    ).toMatchObject(onlyRoot('changing feature flags for privileged container'));
    for (const verb of ['start', 'stop'])
      expect(await ask('POST', `nodes/pve1/lxc/100/status/${verb}`, { body: 'skiplock=1' })).toMatchObject({
        status: 400,
        body: { errors: { skiplock: 'Only root may use this option.' } },
      });
  });
});

describe('a token without rights', () => {
  it.each([
    ['GET', '100/config', 'VM.Audit'],
    ['PUT', '100/config', 'VM.Config.Disk|VM.Config.CPU|VM.Config.Memory|VM.Config.Network|VM.Config.Options'],
    ['POST', '100/status/start', 'VM.PowerMgmt'],
    ['DELETE', '100', 'VM.Allocate'],
    ['POST', '100/snapshot', 'VM.Snapshot'],
    ['POST', '100/snapshot/a/rollback', 'VM.Snapshot|VM.Snapshot.Rollback'],
  ])('%s %s lacks %s', async (method, path, right) => {
    expect(await ask(method, `nodes/pve1/lxc/${path}`, { hasRights: false })).toMatchObject({
      status: 403,
      reason: `Permission check failed (/vms/100, ${right})`,
    });
  });
});
