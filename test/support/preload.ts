/** Builds the preload for one program of a fleet and hands it its faults. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build } from 'esbuild';
import { bundle, CHECKOUT } from '../../deploy/stand/stand-dir.ts';
import type { Control, Fault, TraceEntry } from './fault.ts';

export class Preload {
  /** For `node --import`. */
  readonly module: string;
  readonly #control: string;
  #id = 0;

  private constructor(module: string, control: string) {
    this.module = module;
    this.#control = control;
  }

  static async build(folder: string, program: 'agent' | 'controller'): Promise<Preload> {
    const module = join(folder, `preload-${program}.mjs`);
    const control = join(folder, `faults-${program}.json`);
    const sqlite = program === 'controller' ? createRequire(bundle('pxmgr-controller')).resolve('better-sqlite3') : '';
    await build({
      entryPoints: [join(CHECKOUT, 'test/support/fault-preload.ts')],
      outfile: module,
      bundle: true,
      platform: 'node',
      target: 'node20.19',
      format: 'esm',
      define: { CONTROL_FILE: JSON.stringify(control), SQLITE: JSON.stringify(sqlite) },
      logLevel: 'warning',
    });
    return new Preload(module, control);
  }

  set(fault: Fault): void {
    this.#write({ id: (this.#id += 1), fault });
  }

  /** From now on the wall clock of the program is so far off; what it measures durations with is not touched. */
  setClock(offsetMs: number): void {
    writeFileSync(`${this.#control}.clock.new`, String(offsetMs));
    renameSync(`${this.#control}.clock.new`, `${this.#control}.clock`);
  }

  /** Nothing fails any more. */
  clear(): void {
    rmSync(this.#control, { force: true });
  }

  /** The fault has struck, or was never set. */
  get hasStruck(): boolean {
    return !existsSync(this.#control);
  }

  trace(): void {
    rmSync(`${this.#control}.trace`, { force: true });
    this.#write({ id: (this.#id += 1), trace: true });
  }

  /** Notes calls as well; see `Control`. */
  traceCalls(): void {
    rmSync(`${this.#control}.trace`, { force: true });
    this.#write({ id: (this.#id += 1), trace: true, tracesCalls: true });
  }

  /** What was noted since `trace`; ends it. */
  traced(): TraceEntry[] {
    this.clear();
    return this.noted();
  }

  /** What was noted since `trace`, which goes on. */
  noted(): TraceEntry[] {
    const file = `${this.#control}.trace`;
    if (!existsSync(file)) return [];
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as TraceEntry);
  }

  #write(control: Control): void {
    writeFileSync(`${this.#control}.new`, JSON.stringify(control));
    renameSync(`${this.#control}.new`, this.#control);
  }
}
