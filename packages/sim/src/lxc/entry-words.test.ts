import { describe, expect, it } from 'vitest';
import { entryWords } from './entry-words.ts';

describe('the words of an entrypoint', () => {
  it.each([
    ['/app  --port 80', ['/app', '--port', '80']],
    ["/bin/sh -c 'sleep 1000'", ['/bin/sh', '-c', 'sleep 1000']],
    [`/bin/echo "a b" '' "it's"`, ['/bin/echo', 'a b', '', "it's"]],
    // What PVE makes of the argument `it's` falls apart, as it does on a node.
    [`/bin/echo 'it'\\''s'`, ['/bin/echo', 'it', "\\''s'"]],
    ['pre"a b"post', ['pre"a', 'b"post']],
    [`"a\\"b"`, ['a\\', 'b"']],
    ["/bin/sh 'never closed", ['/bin/sh']],
    ['', []],
  ])('%s', (text, words) => expect(entryWords(text)).toEqual(words));
});
