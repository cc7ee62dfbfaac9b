/**
 * The shipped bundles as services of a real systemd, with the shipped units, installed as docs/install.md says. What the
 * units promise is tried: readiness, watchdog, restart, walls, the end, and what the journal holds.
 */
import { systemClock } from '@pxmgr/kit/clock';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../../deploy/stand/wait.ts';
import { installAgent, installedHost } from './installed.ts';
import { probe } from './probe.ts';
import { type SystemdHost, whyNoSystemdHost } from './systemd-host.ts';

const LIMIT_MS = 120_000;
const AGENT = 'pxmgr-agent.service';
const CONTROLLER = 'pxmgr-controller.service';

const reason = await whyNoSystemdHost();
if (reason !== undefined) process.stderr.write(`skipped: no host with its own systemd on this machine: ${reason}\n`);

let host: SystemdHost;

interface JournalLine {
  readonly PRIORITY: string;
  readonly SYSLOG_IDENTIFIER: string;
  readonly MESSAGE: string;
}

async function journal(unit: string): Promise<JournalLine[]> {
  const text = await host.text('journalctl', '--unit', unit, '--output', 'json', '--no-pager', '_TRANSPORT=stdout');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as JournalLine);
}

async function state(
  unit: string,
): Promise<{ ActiveState: string; SubState: string; MainPID: string; NRestarts: string }> {
  return await host.show(unit, 'ActiveState', 'SubState', 'MainPID', 'NRestarts');
}

/** Active again under another process, by the service manager's own doing. */
async function restarted(unit: string, before: { MainPID: string; NRestarts: string }): Promise<void> {
  await waitFor(`${unit} runs again`, LIMIT_MS, async () => {
    const now = await state(unit);
    return now.SubState === 'running' &&
      now.MainPID !== before.MainPID &&
      Number(now.NRestarts) > Number(before.NRestarts)
      ? true
      : undefined;
  });
}

/** A line of /proc/PID/status of the main process. */
async function processStatus(unit: string): Promise<(field: string) => string> {
  const { MainPID } = await state(unit);
  const text = await host.text('cat', `/proc/${MainPID}/status`);
  return (field) => new RegExp(`^${field}:\\s*(.*)$`, 'm').exec(text)?.[1] ?? '';
}

describe.skipIf(reason !== undefined)('on a host with its own systemd', () => {
  beforeAll(async () => {
    host = await installedHost();
  }, LIMIT_MS);
  afterAll(async () => {
    await host.stop();
  }, LIMIT_MS);

  it('the controller is up when systemd says so, under its own user', async () => {
    // `systemctl enable --now` has returned: with Type=notify that is the word of the controller itself.
    expect(await state(CONTROLLER)).toMatchObject({ ActiveState: 'active', SubState: 'running' });
    expect(await host.show(CONTROLLER, 'Type', 'User')).toEqual({ Type: 'notify', User: 'pxmgr' });
    expect(await host.text('pxmgr', 'status')).toMatch(/nodes/i);
  });

  it('an agent that has not joined fails once, with the reason, and is not started again and again', async () => {
    await installAgent(host);
    expect((await host.run('systemctl', 'start', AGENT)).exitCode).not.toBe(0);
    expect(await host.show(AGENT, 'ActiveState', 'NRestarts', 'ExecMainStatus')).toEqual({
      ActiveState: 'failed',
      NRestarts: '0',
      ExecMainStatus: '4',
    });
    expect((await journal(AGENT)).map((line) => line.MESSAGE).join('\n')).toContain('PXM_NOT_JOINED');
    await host.text('systemctl', 'reset-failed', AGENT);
  });

  it('a host joins and its agent is seen, as the page says', async () => {
    const token = (await host.text('pxmgr', 'node', 'token', 'create')).trim();
    await host.text('pxmgr-agent', 'join', token);
    // A short watchdog for the test below; the unit itself stays as shipped.
    const dropIn = `/etc/systemd/system/${AGENT}.d`;
    await host.text(
      'sh',
      '-euc',
      `mkdir -p ${dropIn} && printf '[Service]\\nWatchdogSec=12\\n' >${dropIn}/watchdog.conf`,
    );
    await host.text('systemctl', 'daemon-reload');
    await host.text('systemctl', 'enable', '--now', AGENT);
    expect(await state(AGENT)).toMatchObject({ ActiveState: 'active', SubState: 'running' });
    await waitFor('the node is up', LIMIT_MS, async () =>
      /^pve1 +up\b/m.test(await host.text('pxmgr', 'node', 'list')) ? true : undefined,
    );
  });

  it('the journal has the lines with their priority, and each is one JSON object of ours', async () => {
    await waitFor('the agent has logged something', LIMIT_MS, async () =>
      (await journal(AGENT)).some((line) => line.MESSAGE.includes('serving the controller')) ? true : undefined,
    );
    const numbers: Readonly<Record<string, string>> = { debug: '7', info: '6', warn: '4', error: '3', fatal: '2' };
    for (const unit of [AGENT, CONTROLLER]) {
      const ours = (await journal(unit)).filter((line) => line.MESSAGE.startsWith('{'));
      expect(ours.length, unit).toBeGreaterThan(1);
      for (const line of ours) {
        const { level, svc } = JSON.parse(line.MESSAGE) as { level: string; svc: string };
        expect(line.PRIORITY, line.MESSAGE).toBe(numbers[level]);
        expect(line.SYSLOG_IDENTIFIER).toBe(`pxmgr-${svc}`);
      }
    }
    const agent = await journal(AGENT);
    // Why it did not start is for people, and must stand out.
    expect(agent.find((line) => line.MESSAGE.includes('PXM_NOT_JOINED'))?.PRIORITY).toBe('3');
    expect(agent.filter((line) => line.PRIORITY === '6').length).toBeGreaterThan(0);
  });

  it('a process that was killed comes back, and so does its work', async () => {
    for (const unit of [AGENT, CONTROLLER]) {
      const before = await state(unit);
      await host.text('kill', '-KILL', before.MainPID);
      await restarted(unit, before);
    }
    await waitFor('the node is up again', LIMIT_MS, async () => {
      const nodes = await host.run('pxmgr', 'node', 'list');
      return nodes.exitCode === 0 && /^pve1 +up\b/m.test(nodes.stdout) ? true : undefined;
    });
  });

  it('a process that has fallen silent is ended and started again; one that works is left alone', async () => {
    const before = await state(AGENT);
    const { WatchdogTimestampMonotonic: first } = await host.show(AGENT, 'WatchdogTimestampMonotonic');
    await waitFor('the watchdog is fed', LIMIT_MS, async () =>
      (await host.show(AGENT, 'WatchdogTimestampMonotonic')).WatchdogTimestampMonotonic === first ? undefined : true,
    );
    expect((await state(AGENT)).MainPID).toBe(before.MainPID);
    await host.text('kill', '-STOP', before.MainPID);
    await restarted(AGENT, before);
    expect(await host.text('journalctl', '--unit', AGENT, '--no-pager', '--output', 'cat')).toMatch(
      /watchdog timeout/i,
    );
  });

  it('the walls of the controller stand', async () => {
    const status = await processStatus(CONTROLLER);
    expect(status('Uid')).not.toMatch(/\b0\b/);
    expect([status('CapEff'), status('CapBnd')].map((bits) => BigInt(`0x${bits}`))).toEqual([0n, 0n]);
    expect([status('NoNewPrivs'), status('Seccomp')]).toEqual(['1', '2']);
    const found = await probe(host, CONTROLLER);
    expect(found).toEqual({
      'write /etc': 'Read-only file system',
      'write /usr': 'Read-only file system',
      'write its state': 'ok',
      'see /home': 'no',
      'see /tmp of others': 'no',
      'see other processes': 'no',
      'see devices': 'no',
      'make a namespace': 'Operation not permitted',
      mount: 'refused',
      'set the set-uid bit': 'Operation not permitted',
      'its mounts are seen outside': 'no',
    });
  });

  it('the agent is closed where no tool needs it, and open where pct and zfs do', async () => {
    const status = await processStatus(AGENT);
    expect(status('Uid')).toMatch(/^0\b/);
    const bounding = BigInt(`0x${status('CapBnd')}`);
    // linux/capability.h: CAP_SYS_MODULE 16, SYS_RAWIO 17, SYS_BOOT 22, SYS_TIME 25, WAKE_ALARM 35; CAP_SYS_ADMIN 21.
    for (const bit of [16n, 17n, 22n, 25n, 35n]) expect((bounding >> bit) & 1n, `capability ${bit}`).toBe(0n);
    expect((bounding >> 21n) & 1n).toBe(1n);
    expect(status('Seccomp')).toBe('2');
    const outside = Number(/^Seccomp_filters:\s*(\d+)/m.exec(await host.text('cat', '/proc/1/status'))?.[1] ?? 0);
    expect(Number(status('Seccomp_filters'))).toBeGreaterThan(outside);
    expect(await probe(host, AGENT)).toEqual({
      'write /etc': 'ok',
      'write /usr': 'ok',
      'write its state': 'ok',
      'see /home': 'yes',
      'see /tmp of others': 'yes',
      'see other processes': 'yes',
      'see devices': 'yes',
      'make a namespace': 'ok',
      mount: 'ok',
      'set the set-uid bit': 'ok',
      'its mounts are seen outside': 'yes',
    });
  });

  it('both end in order when they are told, well before the deadline', async () => {
    for (const unit of [AGENT, CONTROLLER]) {
      const { TimeoutStopUSec } = await host.show(unit, 'TimeoutStopUSec');
      expect(TimeoutStopUSec).toBe('1min');
      const beganMs = systemClock.monotonicMs();
      await host.text('systemctl', 'stop', unit);
      const ms = systemClock.monotonicMs() - beganMs;
      expect(await host.show(unit, 'ActiveState', 'Result', 'ExecMainStatus')).toEqual({
        ActiveState: 'inactive',
        Result: 'success',
        ExecMainStatus: '0',
      });
      expect(ms).toBeLessThan(60_000);
    }
    const { stdout } = await host.run('sh', '-c', "cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    expect(stdout).not.toMatch(/pxmgr-|nats-server/);
  });
});
