/** All problems of one input at once: parsers add to the list, the command refuses with all of them. */
import type { Parsed } from '@pxmgr/contract';
import { PxmError } from '@pxmgr/kit/error/pxm-error';

export class Problems {
  private readonly found: string[] = [];

  add(where: string, reason: string): void {
    this.found.push(`${where}: ${reason}`);
  }

  /** The value, or undefined with the reason noted. */
  take<T>(where: string, parsed: Parsed<T>): T | undefined {
    if (parsed.ok) return parsed.value;
    this.add(where, parsed.reason);
    return undefined;
  }

  get size(): number {
    return this.found.length;
  }

  /** Throws PXM_INPUT_INVALID when there is at least one. */
  refuse(): void {
    if (this.found.length === 0) return;
    throw new PxmError('PXM_INPUT_INVALID', { count: String(this.found.length), problems: this.found.join('\n') });
  }
}
