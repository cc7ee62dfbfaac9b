import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandOf, hasProgram, machineRunner, runProgram } from './host/machine.ts';
import { buildDemoImage } from './image.fixture.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pxsim-image-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function skopeo(...args: string[]): Promise<string> {
  const result = await runProgram({ file: 'skopeo', args, purpose: 'test' });
  expect(result.stderr).toBe('');
  return result.stdout;
}

describe('the demo image', () => {
  it('follows from its description alone', async () => {
    const first = await buildDemoImage(folder, { name: 'hello', version: '1.0' });
    expect(first.path).toBe(join(folder, 'hello-1.0.tar'));
    expect((await buildDemoImage(folder, { name: 'hello', version: '1.0' })).digest).toBe(first.digest);
    expect((await buildDemoImage(folder, { name: 'hello', version: '1.1' })).digest).not.toBe(first.digest);
  });

  it.skipIf(!hasProgram('skopeo') || !hasProgram('docker-registry'))(
    'goes to a registry and back with its digest',
    async () => {
      const { path, digest } = await buildDemoImage(folder, { name: 'hello', version: '1.0' });
      const port = await freePort();
      const config = join(folder, 'registry.yml');
      writeFileSync(
        config,
        `version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: ${join(folder, 'registry')}\nhttp:\n  addr: 127.0.0.1:${port}\n`,
      );
      const registry = machineRunner().start(
        commandOf({ file: 'docker-registry', args: ['serve', config], purpose: 'test' }),
      );
      try {
        const reference = `docker://127.0.0.1:${port}/demo/hello:1.0`;
        await answering(port);
        await skopeo('copy', '--dest-tls-verify=false', `oci-archive:${path}`, reference);
        const found = JSON.parse(await skopeo('inspect', '--tls-verify=false', reference)) as {
          Digest: string;
          Env: string[];
        };
        expect(found.Digest).toBe(digest);
        expect(found.Env).toContain('APP_VERSION=1.0');
      } finally {
        registry.terminate();
        await registry.done;
      }
    },
  );
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

async function answering(port: number): Promise<void> {
  const end = Date.now() + 20_000;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined);
    if (answer?.ok === true) return;
    if (Date.now() > end) throw new Error('the registry does not answer');
    await sleep(20);
  }
}
