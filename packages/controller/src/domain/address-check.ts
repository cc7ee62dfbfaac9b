/** IP addresses and prefixes as text, checked without a network library. */

export function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

/** Groups of 1 to 4 hexadecimal digits, one "::" at most; no embedded IPv4, no zone. */
export function isIpv6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return false;
  return halves.length === 2 ? groups.length < 8 : groups.length === 8;
}

function isPrefix(text: string, isAddress: (address: string) => boolean, bits: number): boolean {
  const [address = '', length = '', ...rest] = text.split('/');
  return rest.length === 0 && isAddress(address) && /^\d{1,3}$/.test(length) && Number(length) <= bits;
}

/** 10.0.0.5/24 */
export function isCidr4(text: string): boolean {
  return isPrefix(text, isIpv4, 32);
}

/** fd00::5/64 */
export function isCidr6(text: string): boolean {
  return isPrefix(text, isIpv6, 128);
}
