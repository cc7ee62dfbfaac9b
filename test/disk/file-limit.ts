/** The kernel refuses this process every write beyond a size: SQLite takes that for a disk that fails (SQLITE_IOERR_WRITE). */
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';

/** `undefined` lifts it again. */
export async function limitFileSize(pid: number, bytes: number | undefined): Promise<void> {
  const runner = createRunner({ logger: silentLogger(), path: '/usr/bin:/bin' });
  const soft = bytes === undefined ? 'unlimited' : String(bytes);
  const args = ['--pid', String(pid), `--fsize=${soft}:unlimited`];
  const result = await runner.run({ file: 'prlimit', args, purpose: 'limit the size of files', timeoutMs: 10_000 });
  if (result.exitCode !== 0) throw new Error(`prlimit failed: ${result.stderr}`);
}
