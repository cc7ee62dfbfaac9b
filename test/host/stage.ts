/** What the suite needs on this side: a controller with nats-server, a registry with an image, the command line. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildDemoImage } from '@pxmgr/sim/image.fixture';
import { ControllerProcess } from '../../deploy/stand/controller.ts';
import { pushImage } from '../../deploy/stand/push-image.ts';
import { Registry } from '../../deploy/stand/registry.ts';
import { StandDir } from '../../deploy/stand/stand-dir.ts';

export class Stage {
  readonly dir: StandDir;
  readonly controller: ControllerProcess;
  readonly registry: Registry;
  /** A web server that answers on 8080 and keeps a file in its volume /data. */
  readonly image: string;

  private constructor(parts: { dir: StandDir; controller: ControllerProcess; registry: Registry; image: string }) {
    this.dir = parts.dir;
    this.controller = parts.controller;
    this.registry = parts.registry;
    this.image = parts.image;
  }

  static async start(): Promise<Stage> {
    const dir = new StandDir(mkdtempSync(join(tmpdir(), 'pxmgr-host-')));
    const registry = await Registry.start({
      dir: dir.path('registry'),
      runner: dir.runner,
      user: 'tester',
      password: randomBytes(12).toString('hex'),
    });
    mkdirSync(dir.path('images'));
    const { path } = await buildDemoImage(dir.path('images'), { name: 'pxmgr-host-test', version: '1.0' });
    const image = await pushImage({ runner: dir.runner, registry, archive: path, name: 'demo/pxmgr-host-test:1.0' });
    const controller = await ControllerProcess.create(dir);
    await controller.start();
    return new Stage({ dir, controller, registry, image });
  }

  get registryPort(): number {
    return Number(this.registry.address.split(':').at(-1));
  }

  async stop(): Promise<void> {
    await this.controller.stop();
    await this.registry.stop();
    rmSync(this.dir.root, { recursive: true, force: true });
  }
}
