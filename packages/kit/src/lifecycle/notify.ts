import type { Runner } from '../exec/command.ts';
import type { Logger } from '../log/logger.ts';

/** What systemd wants to know (sd_notify(3)). Outside of systemd every call does nothing. */
export interface Notifier {
  /** Also begins the watchdog messages when the unit has WatchdogSec=. */
  ready(): Promise<void>;
  stopping(): Promise<void>;
  status(text: string): Promise<void>;
}

export interface NotifierOptions {
  runner: Runner;
  logger: Logger;
  env: Readonly<Record<string, string | undefined>>;
  /** Asked before each watchdog message: false lets systemd restart us. */
  isHealthy?: () => boolean;
}

/** Node.js has no datagram UNIX sockets, so the systemd-notify program speaks for us; the unit needs NotifyAccess=all. */
export function createNotifier(options: NotifierOptions): Notifier {
  const { runner, logger, env } = options;
  const socket = env['NOTIFY_SOCKET'];
  let watchdog: NodeJS.Timeout | undefined;
  const send = async (...words: string[]): Promise<void> => {
    if (socket === undefined || socket === '') return;
    try {
      const result = await runner.run({
        file: 'systemd-notify',
        args: words,
        purpose: 'tell systemd',
        env: { NOTIFY_SOCKET: socket },
        timeoutMs: 5000,
        killGraceMs: 1000,
        readOnly: true,
      });
      if (result.exitCode !== 0) logger.warn({ exit: result.exitCode, stderr: result.stderr }, 'systemd-notify failed');
    } catch (error) {
      logger.warn({ err: error }, 'systemd-notify failed');
    }
  };
  const periodMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1000;
  return {
    ready: async () => {
      await send('--ready');
      if (!(periodMs > 0) || socket === undefined) return;
      watchdog = setInterval(() => {
        if (options.isHealthy?.() ?? true) void send('WATCHDOG=1');
      }, periodMs / 3);
      watchdog.unref();
    },
    stopping: async () => {
      clearInterval(watchdog);
      await send('STOPPING=1');
    },
    status: (text) => send(`--status=${text}`),
  };
}
