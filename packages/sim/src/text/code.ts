/**
 * Percent encoding of free text in config files (pve-common src/PVE/Tools.pm encode_text, decode_text): control
 * characters, `%`, `:` and every byte outside ASCII.
 */

export function encodeText(text: string): string {
  let out = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x25 && byte !== 0x3a;
    out += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

export function decodeText(text: string): string {
  const bytes = perlBytes(text);
  const out: number[] = [];
  for (let i = 0; i < bytes.length; i++) {
    const hex = bytes[i] === 0x25 ? /^[0-9A-Fa-f]{2}/.exec(bytes.toString('latin1', i + 1, i + 3))?.[0] : undefined;
    out.push(hex === undefined ? (bytes[i] ?? 0) : Number.parseInt(hex, 16));
    if (hex !== undefined) i += 2;
  }
  return Buffer.from(out).toString('utf8');
}

/**
 * A text as Perl writes it without an encoding: one byte a character, or UTF-8 as soon as one character does not fit.
 * Config files are read the same way, byte by byte, so what is not ASCII in them is no character of anybody's text.
 */
export function perlBytes(text: string): Buffer {
  return Buffer.from(text, /^[\0-\xff]*$/.test(text) ? 'latin1' : 'utf8');
}
