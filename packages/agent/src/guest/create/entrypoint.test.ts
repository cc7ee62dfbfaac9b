import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeEntrypoint, needsEncoding } from './entrypoint.ts';

/** How LXC reads it (lxc/lxc src/lxc/string_utils.c): a leading quote runs to the next same one, everything else to white space. */
function lxcWords(text: string): string[] {
  const words: string[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text.charAt(at))) {
      at += 1;
      continue;
    }
    const quote = text.charAt(at);
    const isQuoted = quote === "'" || quote === '"';
    const start = isQuoted ? at + 1 : at;
    let end = start;
    while (end < text.length && (isQuoted ? text.charAt(end) !== quote : !/\s/.test(text.charAt(end)))) end += 1;
    words.push(text.slice(start, end));
    at = isQuoted ? end + 1 : end;
  }
  return words;
}

describe('encodeEntrypoint', () => {
  it.each([
    [['/app', '--x', 'a b', '', 'say "hi"', '$HOME', '*'], `/app --x 'a b' '' 'say "hi"' $HOME *`],
    [['/app', "it's"], "/app it's"],
    [['/app', "'"], `/app "'"`],
    [['/app', "a 'b' c"], `/app "a 'b' c"`],
    [
      ['/app', `{"c": "it's"}`],
      `/bin/sh -c "exec /app '{'$(printf '\\042')c$(printf '\\042'):' '$(printf '\\042')it\\'s$(printf '\\042')'}'"`,
    ],
  ])('%j', (argv, text) => {
    expect(encodeEntrypoint(argv, true)).toEqual({ ok: true, value: text });
  });

  it('arrives word by word as it was, whatever it is', () => {
    const word = fc.string({ minLength: 1 }).filter((text) => encodeEntrypoint([text], false).ok);
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), (argv) => {
        const encoded = encodeEntrypoint(argv, false);
        expect(encoded.ok && lxcWords(encoded.value)).toEqual(argv);
      }),
    );
  });

  it('wraps in a shell text that holds no double quote inside', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', ' ', "'", '"', '$', '`', '\\', 'ü'), { minLength: 1, maxLength: 12 }),
        (parts) => {
          const encoded = encodeEntrypoint(['/app', `" '${parts.join('')}`], true);
          expect(encoded.ok && lxcWords(encoded.value).length).toBe(3);
        },
      ),
    );
  });

  it('refuses what cannot be expressed', () => {
    expect(encodeEntrypoint(['/app', `"'  `], false)).toMatchObject({
      ok: false,
      reason: expect.stringContaining('no shell') as unknown,
    });
    expect(encodeEntrypoint(['/app', 'a\nb'], true)).toMatchObject({ ok: false });
    expect(encodeEntrypoint([], true)).toMatchObject({ ok: false });
    expect(needsEncoding(['a', "b'c"])).toBe(true);
    expect(needsEncoding(['a b', '"'])).toBe(false);
  });
});
