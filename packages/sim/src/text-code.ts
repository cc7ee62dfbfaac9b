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
  const bytes = Buffer.from(text, 'utf8');
  const out: number[] = [];
  for (let i = 0; i < bytes.length; i++) {
    const hex = bytes[i] === 0x25 ? /^[0-9A-Fa-f]{2}/.exec(bytes.toString('latin1', i + 1, i + 3))?.[0] : undefined;
    out.push(hex === undefined ? (bytes[i] ?? 0) : Number.parseInt(hex, 16));
    if (hex !== undefined) i += 2;
  }
  return Buffer.from(out).toString('utf8');
}
