import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { OutboxItem } from './outbox.ts';
import { Outbox } from './outbox.ts';

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pxmgr-outbox-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  return join(folder, 'outbox');
}

function item(id: string, hash = 'h', more: Partial<OutboxItem> = {}): OutboxItem {
  const value = { volumeId: id, fileName: hash, sizeBytes: 1n, storage: 's' };
  return {
    kind: 'template',
    id,
    document: { document: { $case: 'template', value } },
    hash,
    observedAt: new Date(1000),
    cause: undefined,
    resync: false,
    ...more,
  };
}

function numbers() {
  let revision = 0n;
  return () => ({ generation: 1n, revision: (revision += 1n) });
}

const ids = (outbox: Outbox) => outbox.pending().map((slot) => `${slot.id}=${slot.hash}`);

describe('Outbox', () => {
  it('holds an hour of 50,000 changes: bounded while the bus is away, and read back in one pass', () => {
    const path = file();
    const outbox = Outbox.open(path);
    const many = (from: number, count: number) => Array.from({ length: count }, (_, n) => item(`x${String(from + n)}`));
    for (let round = 0; round < 500; round += 1) outbox.put(many(0, 100));
    expect(outbox.size).toBe(100);
    expect(statSync(path).size).toBeLessThan(5 * 1024 * 1024);
    for (let from = 0; from < 50_000; from += 1000) outbox.put(many(from, 1000));
    const position = numbers();
    for (let sent = 0; sent < 25_600; sent += 256) outbox.confirm(outbox.take(256, position));
    // One look through all for each that went out took minutes.
    const again = Outbox.open(path);
    expect(ids(again)).toEqual(ids(outbox));
    expect(again.size).toBe(50_000 - 25_600);
  });

  it('keeps one slot per object, the newest state, in the order of queueing', () => {
    const outbox = Outbox.open(file());
    outbox.put([item('a', '1'), item('b', '1')]);
    outbox.put([item('a', '2')]);
    expect(ids(outbox)).toEqual(['b=1', 'a=2']);
  });

  it('numbers messages when they are taken, and keeps the number for the next try', () => {
    const outbox = Outbox.open(file());
    const next = numbers();
    outbox.put([item('a', '1'), item('a', '2'), item('b', '1')]);
    expect(outbox.take(10, next).map((slot) => slot.position?.revision)).toEqual([1n, 2n]);
    expect(outbox.take(10, next).map((slot) => slot.position?.revision)).toEqual([1n, 2n]);
  });

  it('does not confirm a state that was replaced while it was on the wire', () => {
    const outbox = Outbox.open(file());
    const next = numbers();
    outbox.put([item('a', '1')]);
    const batch = outbox.take(10, next);
    outbox.put([item('a', '2')]);
    outbox.confirm(batch);
    expect(ids(outbox)).toEqual(['a=2']);
    expect(outbox.take(10, next)[0]?.position?.revision).toBe(2n);
  });

  it('is there again after a restart, cause and tombstone included, without what was confirmed', () => {
    const path = file();
    const first = Outbox.open(path);
    first.put([
      item('a', '1', { cause: { upid: 'U', user: 'root@pam', operationId: 'op', actor: 'x' } }),
      item('b', '', { document: undefined }),
      item('c'),
    ]);
    first.confirm(first.take(10, numbers()).filter((slot) => slot.id === 'c'));
    const second = Outbox.open(path);
    expect(second.pending()).toMatchObject([
      { id: 'a', hash: '1', cause: { upid: 'U', operationId: 'op' }, position: undefined },
      { id: 'b', document: undefined },
    ]);
    second.put([item('d')]);
    expect(second.pending().map((slot) => slot.seq)).toEqual([1n, 2n, 4n]);
  });

  it('survives a write that was cut off at any byte, losing only that write', () => {
    const path = file();
    Outbox.open(path).put([item('a')]);
    const whole = statSync(path).size;
    const outbox = Outbox.open(path);
    outbox.put([item('b')]);
    const bytes = readFileSync(path);
    for (let length = whole; length < bytes.length; length += 1) {
      writeFileSync(path, bytes);
      truncateSync(path, length);
      expect(ids(Outbox.open(path))).toEqual(['a=h']);
    }
    writeFileSync(path, bytes);
    expect(ids(Outbox.open(path))).toEqual(['a=h', 'b=h']);
  });

  it('goes on after a torn tail, a damaged frame and a foreign file', () => {
    const path = file();
    Outbox.open(path).put([item('a'), item('b')]);
    appendFileSync(path, Buffer.from([9, 0, 0, 0, 1, 2]));
    const outbox = Outbox.open(path);
    outbox.put([item('c')]);
    expect(ids(Outbox.open(path))).toEqual(['a=h', 'b=h', 'c=h']);
    const bytes = readFileSync(path);
    bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 0xff;
    writeFileSync(path, bytes);
    expect(ids(Outbox.open(path))).toEqual(['a=h', 'b=h']);
    writeFileSync(path, 'something else');
    expect(Outbox.open(path).size).toBe(0);
  });

  it('is bounded: the oldest go, and it says so once', () => {
    const outbox = Outbox.open(file(), 2);
    outbox.put([item('a'), item('b'), item('c')]);
    expect(ids(outbox)).toEqual(['b=h', 'c=h']);
    expect([outbox.takeOverflow(), outbox.takeOverflow()]).toEqual([true, false]);
  });

  it('does not grow for ever while the bus is away', () => {
    const path = file();
    const outbox = Outbox.open(path);
    const large = 'x'.repeat(100_000);
    for (let round = 0; round < 100; round += 1) outbox.put([item('a', `${round}${large}`)]);
    expect(statSync(path).size).toBeLessThan(5 * 1024 * 1024);
    expect(Outbox.open(path).pending()[0]?.hash.startsWith('99')).toBe(true);
    outbox.confirm(outbox.take(1, numbers()));
    expect(statSync(path).size).toBe(8);
  });
});
