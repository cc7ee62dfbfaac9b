import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatImageReference, parseImageReference, pinImageReference } from './image-ref.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

describe('image references', () => {
  it.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['jellyfin/jellyfin:10', 'docker.io/jellyfin/jellyfin:10'],
    ['docker://quay.io/a/b', 'quay.io/a/b:latest'],
    ['localhost/x:1', 'localhost/x:1'],
    ['127.0.0.1:5000/web:1.0', '127.0.0.1:5000/web:1.0'],
    ['[::1]:5000/web', '[::1]:5000/web:latest'],
    [`ghcr.io/a/b@${DIGEST}`, `ghcr.io/a/b@${DIGEST}`],
    [`ghcr.io/a/b:1@${DIGEST}`, `ghcr.io/a/b:1@${DIGEST}`],
    ['Registry/x', 'Registry/x:latest'],
  ])('%s means %s', (text, normal) => {
    const parsed = parseImageReference(text);
    expect(parsed.ok ? formatImageReference(parsed.value) : parsed.reason).toBe(normal);
  });

  it.each([
    '',
    'a'.repeat(256),
    'quay.io/',
    'quay.io/A/b',
    'nginx:',
    'nginx:-x',
    'nginx@sha256:abc',
    'a//b',
    'quay.io/a--/b',
    'ex ample.org/a',
    '-x.org/a',
    'a b',
    'nginx:1\n',
    '--help',
  ])('%j is refused with a reason', (text) => {
    const parsed = parseImageReference(text);
    expect(parsed).toMatchObject({ ok: false });
    expect(parsed.ok ? '' : parsed.reason).not.toBe('');
  });

  it('print to what parses to the same', () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,8}$/);
    fc.assert(
      fc.property(part, fc.array(part, { minLength: 1, maxLength: 3 }), part, (host, path, tag) => {
        const text = `${host}.test:5000/${path.join('/')}:${tag}`;
        const parsed = parseImageReference(text);
        expect(parsed.ok ? formatImageReference(parsed.value) : '').toBe(text);
      }),
    );
  });

  it('are pinned by digest without the tag', () => {
    const parsed = parseImageReference('nginx:1.27');
    expect(parsed.ok ? pinImageReference(parsed.value, DIGEST) : '').toBe(`docker.io/library/nginx@${DIGEST}`);
  });
});
