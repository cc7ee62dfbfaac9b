/** A file system with room for little, mounted for a test: a full disk as the kernel makes it. */
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRunner } from '@pxmgr/kit/exec/run';
import { silentLogger } from '@pxmgr/kit/log/logger';

export class SmallDisk {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Undefined, with the reason printed, where this user may not mount. */
  static async mount(sizeKib: number): Promise<SmallDisk | undefined> {
    const path = mkdtempSync(join(tmpdir(), 'pxmgr-disk-'));
    const options = `size=${String(sizeKib)}k,mode=0700`;
    const result = await run('mount', ['-t', 'tmpfs', '-o', options, 'pxmgr-test', path]);
    if (result.exitCode === 0) return new SmallDisk(path);
    rmSync(path, { recursive: true });
    process.stderr.write(`tests of a full disk are skipped: ${result.stderr.trim()}\n`);
    return undefined;
  }

  /** Leaves no room at all, or that much. */
  fill(leaveBytes = 0): void {
    const { bavail, bsize } = statfsSync(this.path);
    writeFileSync(this.ballast, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes)));
  }

  free(): void {
    rmSync(this.ballast, { force: true });
  }

  async unmount(): Promise<void> {
    await run('umount', ['--lazy', this.path]);
    rmSync(this.path, { recursive: true, force: true });
  }

  private get ballast(): string {
    return join(this.path, 'ballast');
  }
}

async function run(file: string, args: readonly string[]): Promise<{ exitCode: number | null; stderr: string }> {
  const runner = createRunner({ logger: silentLogger(), path: '/usr/sbin:/usr/bin:/sbin:/bin' });
  return await runner.run({ file, args, purpose: `${file} a small disk`, timeoutMs: 10_000 });
}
