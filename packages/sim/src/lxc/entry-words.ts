/**
 * Splits `entrypoint` as the LXC of a Proxmox VE node does (lxc/lxc src/lxc/string_utils.c lxc_string_split_quoted): a
 * word that starts with a quote runs to the next same quote, any other to the next white space; there are no escapes,
 * nothing is joined, and a word whose quote is never closed is dropped. LXC 5 would split at every blank instead, so
 * the words are given to lxc-start one by one.
 */
export function entryWords(text: string): string[] {
  const words: string[] = [];
  for (let at = 0; at < text.length; ) {
    const first = text.charAt(at);
    if (/\s/.test(first)) {
      at += 1;
    } else if (first === '"' || first === "'") {
      const end = text.indexOf(first, at + 1);
      if (end < 0) return words;
      words.push(text.slice(at + 1, end));
      at = end + 1;
    } else {
      const rest = /^\S+/.exec(text.slice(at))?.[0] ?? '';
      words.push(rest);
      at += rest.length;
    }
  }
  return words;
}
