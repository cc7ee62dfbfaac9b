import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { PxmError } from '../error/pxm-error.ts';
import { ScriptedRunner } from '../exec/scripted.ts';
import { createLogger, silentLogger } from '../log/logger.ts';
import { Lifecycle, type LifecycleOptions } from './lifecycle.ts';
import { createNotifier } from './notify.ts';

function make(options: Partial<LifecycleOptions> = {}) {
  const events = new EventEmitter();
  const log: string[] = [];
  const lifecycle = new Lifecycle({ logger: silentLogger(), events, ...options });
  const part = (name: string) => {
    lifecycle.add(name, {
      start: () => void log.push(`+${name}`),
      stop: () => void log.push(`-${name}`),
      reload: () => void log.push(`~${name}`),
    });
  };
  return { events, log, lifecycle, part };
}

describe('Lifecycle', () => {
  it('starts in order, stops in reverse on one signal, and leaves no listeners', async () => {
    const { events, log, lifecycle, part } = make();
    part('a');
    part('b');
    const code = lifecycle.run();
    await expect.poll(() => log).toEqual(['+a', '+b']);
    events.emit('SIGHUP');
    await expect.poll(() => log).toEqual(['+a', '+b', '~a', '~b']);
    events.emit('SIGTERM');
    expect(await code).toBe(0);
    expect(log.slice(4)).toEqual(['-b', '-a']);
    expect(events.eventNames()).toEqual([]);
  });

  it('undoes a start that failed and gives the exit code of the error', async () => {
    const { log, lifecycle, part } = make();
    part('a');
    lifecycle.add('bad', {
      start: () => {
        throw new PxmError('PXM_NATS_DOWN', { url: 'x' });
      },
      stop: () => void log.push('never'),
    });
    part('c');
    expect(await lifecycle.run()).toBe(6);
    expect(log).toEqual(['+a', '-a']);
  });

  it('ends without a stop where nothing could be written down', async () => {
    const codes: number[] = [];
    const exit = (code: number): never => {
      codes.push(code);
      throw new Error('gone');
    };
    const { events, log, lifecycle, part } = make({ exit });
    part('a');
    const code = lifecycle.run();
    await expect.poll(() => log).toEqual(['+a']);
    const failure = new PxmError('PXM_DISK_FAILED', { path: '/journal' });
    expect(() => lifecycle.crash(failure)).toThrow('gone');
    expect([codes, log]).toEqual([[1], ['+a']]);
    events.emit('SIGTERM');
    await code;
  });

  it('ends at once on the second signal', async () => {
    const { events, lifecycle } = make();
    lifecycle.add('stuck', { stop: () => new Promise(() => undefined) });
    const code = lifecycle.run();
    await new Promise((resolve) => setImmediate(resolve));
    events.emit('SIGINT');
    await new Promise((resolve) => setImmediate(resolve));
    events.emit('SIGINT');
    expect(await code).toBe(130);
  });

  it('gives up at the deadline, and after a failed stop still stops the others', async () => {
    const late = make({ stopDeadlineMs: 10 });
    late.lifecycle.add('stuck', { stop: () => new Promise(() => undefined) });
    late.lifecycle.requestStop('test');
    expect(await late.lifecycle.run()).toBe(0);
    const stuck = make({ stopDeadlineMs: 10 });
    stuck.lifecycle.add('stuck', {
      start: () => void setImmediate(() => stuck.events.emit('SIGTERM')),
      stop: () => new Promise(() => undefined),
    });
    expect(await stuck.lifecycle.run()).toBe(1);
    const failing = make();
    failing.part('a');
    failing.lifecycle.add('b', {
      start: () => void setImmediate(() => failing.events.emit('SIGTERM')),
      stop: () => Promise.reject(new Error('no')),
    });
    expect(await failing.lifecycle.run()).toBe(1);
    expect(failing.log).toEqual(['+a', '-a']);
  });

  it('logs an unhandled rejection and ends with 1, stopping in order', async () => {
    const lines: string[] = [];
    const { events, log, lifecycle, part } = make({
      logger: createLogger({
        service: 't',
        version: '0',
        level: 'info',
        stream: { write: (line) => lines.push(line) },
      }),
    });
    part('a');
    const code = lifecycle.run();
    await expect.poll(() => log).toEqual(['+a']);
    events.emit('unhandledRejection', new Error('forgot to await'));
    expect(await code).toBe(1);
    expect(log).toEqual(['+a', '-a']);
    expect(lines.join('')).toContain('forgot to await');
  });
});

describe('createNotifier', () => {
  it('speaks through systemd-notify, and only under systemd', async () => {
    const runner = new ScriptedRunner({ ordered: true })
      .expect('systemd-notify --ready')
      .expect('systemd-notify STOPPING=1', { exit: 1, stderr: 'x' });
    const notifier = createNotifier({ runner, logger: silentLogger(), env: { NOTIFY_SOCKET: '/run/n' } });
    await notifier.ready();
    await notifier.stopping();
    runner.assertDone();
    expect(runner.calls[0]?.env).toEqual({ NOTIFY_SOCKET: '/run/n' });
    const silent = new ScriptedRunner();
    await createNotifier({ runner: silent, logger: silentLogger(), env: {} }).ready();
    expect(silent.calls).toEqual([]);
  });
});
