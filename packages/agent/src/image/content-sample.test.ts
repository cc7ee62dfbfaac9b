import type { Header } from 'tar-stream';
import { expect, it } from 'vitest';
import { ContentSample } from './content-sample.ts';

const file = (path: string, size = 1): [string, Header] => [path, { name: path, type: 'file', size } as Header];
const entry = (path: string, type: Header['type']): [string, Header] => [path, { name: path, type, size: 0 } as Header];

interface Layer {
  readonly entries: readonly [string, Header][];
  readonly removed?: readonly string[];
  readonly emptied?: readonly string[];
}

function sampleOf(...layers: Layer[]): string[] {
  const sample = new ContentSample(layers.length);
  for (const { entries, removed = [], emptied = [] } of layers) {
    const layer = sample.newLayer();
    for (const [path, header] of entries) layer.note(path, header);
    sample.add(layer, removed, emptied);
  }
  return sample.files((path) => path).map(({ path, bytes }) => `${path}:${bytes}`);
}

it('is bounded, spread over a layer, and always has its last files', () => {
  const entries = Array.from({ length: 50_000 }, (_none, index) => file(`usr/f${index}`, index));
  const found = sampleOf({ entries });
  expect(found.length).toBeLessThanOrEqual(128);
  expect(found.length).toBeGreaterThan(64);
  for (const index of [0, 49_937, 49_998, 49_999]) expect(found).toContain(`usr/f${index}:${index}`);
});

it('knows what higher layers do to a file', () => {
  const base = { entries: ['a', 'b', 'c', 'd', 'dir/x', 'old/x', 'gone/x', 'app/x'].map((path) => file(path)) };
  const found = sampleOf(base, {
    entries: [
      file('a', 9),
      file('usr/.wh.d', 0),
      entry('b', 'symlink'),
      entry('c', 'directory'),
      entry('dir', 'symlink'),
      entry('app', 'directory'),
    ],
    removed: ['d', 'gone'],
    emptied: ['old'],
  });
  expect(found).toEqual(['a:9', 'app/x:1']);
});

it('takes the last of a path that comes twice in a layer, and nothing when that is no file', () => {
  expect(sampleOf({ entries: [file('a', 1), file('b', 1), file('a', 2), entry('b', 'link')] })).toEqual(['a:2']);
});

it('leaves out what Proxmox rewrites, and names that are not plain', () => {
  const paths = [
    'etc/hosts',
    'dev/x',
    'usr/lib/systemd/x',
    'lib/systemd/y',
    'a b',
    'a"b',
    'a\nb',
    '-x',
    '../x',
    'é',
    'usr/lib/x.so',
  ];
  expect(sampleOf({ entries: paths.map((path) => file(path)) })).toEqual(['usr/lib/x.so:1']);
});
