import { StringDecoder } from 'node:string_decoder';

/** Keeps the first and the last bytes of a stream; what a tool says first and last is what explains it. */
export class BoundedOutput {
  readonly #headMax: number;
  readonly #tailMax: number;
  readonly #head: Buffer[] = [];
  readonly #tail: Buffer[] = [];
  #headBytes = 0;
  #tailBytes = 0;
  #droppedBytes = 0;

  constructor(maxBytes: number) {
    this.#headMax = Math.ceil(maxBytes / 2);
    this.#tailMax = Math.max(1, maxBytes - this.#headMax);
  }

  push(chunk: Buffer): void {
    const room = this.#headMax - this.#headBytes;
    const head = room > 0 ? chunk.subarray(0, room) : undefined;
    if (head !== undefined) {
      this.#head.push(head);
      this.#headBytes += head.length;
    }
    const rest = head === undefined ? chunk : chunk.subarray(head.length);
    if (rest.length === 0) return;
    this.#tail.push(rest);
    this.#tailBytes += rest.length;
    this.#trim();
  }

  get truncated(): boolean {
    return this.#droppedBytes > 0;
  }

  text(): string {
    if (this.#droppedBytes === 0) return Buffer.concat([...this.#head, ...this.#tail]).toString('utf8');
    const head = Buffer.concat(this.#head).toString('utf8');
    const tail = Buffer.concat(this.#tail).toString('utf8');
    return `${head}\n[${String(this.#droppedBytes)} bytes left out]\n${tail}`;
  }

  #trim(): void {
    let excess = this.#tailBytes - this.#tailMax;
    while (excess > 0) {
      const first = this.#tail[0];
      if (first === undefined) return;
      const cut = Math.min(excess, first.length);
      if (cut === first.length) this.#tail.shift();
      else this.#tail[0] = first.subarray(cut);
      excess -= cut;
      this.#tailBytes -= cut;
      this.#droppedBytes += cut;
    }
  }
}

const MAX_LINE = 16 * 1024;

/** Splits bytes into lines at `\n`, `\r\n` and a bare `\r` (progress meters); a longer line is cut and marked. */
export class LineSplitter {
  readonly #emit: (line: string) => void;
  readonly #maxLine: number;
  readonly #decoder = new StringDecoder('utf8');
  #pending = '';
  #isCut = false;
  #lastWasCr = false;

  constructor(emit: (line: string) => void, maxLine: number = MAX_LINE) {
    this.#emit = emit;
    this.#maxLine = maxLine;
  }

  push(chunk: Buffer): void {
    this.#take(this.#decoder.write(chunk));
  }

  /** The last line without a line end. */
  end(): void {
    this.#take(this.#decoder.end());
    if (this.#pending !== '') this.#flush();
  }

  #take(text: string): void {
    let start = 0;
    for (let i = 0; i < text.length; i += 1) {
      const character = text[i];
      if (character !== '\n' && character !== '\r') {
        this.#lastWasCr = false;
        continue;
      }
      this.#append(text.slice(start, i));
      start = i + 1;
      const endsCrLf = character === '\n' && this.#lastWasCr && this.#pending === '';
      this.#lastWasCr = character === '\r';
      if (endsCrLf || (character === '\r' && this.#pending === '')) continue;
      this.#flush();
    }
    this.#append(text.slice(start));
  }

  #append(text: string): void {
    const room = this.#maxLine - this.#pending.length;
    if (text.length > room) this.#isCut = true;
    this.#pending += text.slice(0, Math.max(0, room));
  }

  #flush(): void {
    const line = this.#isCut ? `${this.#pending}...` : this.#pending;
    this.#pending = '';
    this.#isCut = false;
    this.#emit(line);
  }
}
