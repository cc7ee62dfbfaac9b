/** A folder on a server that never answers, as the kernel makes it: a FUSE mount that nobody serves. Every look at it hangs. */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';

export class DeadFolder {
  readonly #path: string;
  #fd: number | undefined;

  private constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  /** Undefined, with the reason printed, where this user may not mount. */
  static async mount(path: string): Promise<DeadFolder | undefined> {
    mkdirSync(path, { recursive: true });
    let fd: number | undefined;
    try {
      fd = openSync('/dev/fuse', 'r+');
      // The mount program gets the descriptor as its fourth (Linux Documentation/filesystems/fuse.rst).
      const options = 'fd=3,rootmode=40755,user_id=0,group_id=0';
      await run('mount', ['-i', '-t', 'fuse', '-o', options, 'pxmgr-dead', path], [fd]);
      return new DeadFolder(path, fd);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      process.stderr.write(`tests of a dead storage are skipped: ${error instanceof Error ? error.message : ''}\n`);
      return undefined;
    }
  }

  /** The server is gone for good: those who wait get an error, and what lies under the mount is there again. */
  async unmount(): Promise<void> {
    if (this.#fd === undefined) return;
    await run('umount', ['--lazy', this.#path]);
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}

async function run(file: string, args: readonly string[], extraFds: readonly number[] = []): Promise<void> {
  const runner = createRunner({ logger: silentLogger(), path: '/usr/sbin:/usr/bin:/sbin:/bin' });
  const result = await runner.run({ file, args, purpose: `${file} a dead folder`, timeoutMs: 10_000, extraFds });
  if (result.exitCode !== 0) throw new Error(result.stderr.trim());
}
