/** Width of text on a terminal: wide East Asian characters and emoji take two cells, combining marks none. */

const COMBINING = /\p{Mark}/u;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const COLOUR = /\u001b\[[0-9;]*m/g;

export function cellWidth(text: string): number {
  let width = 0;
  for (const character of text.replace(COLOUR, '')) {
    if (COMBINING.test(character)) continue;
    width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - cellWidth(text)));
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - cellWidth(text))) + text;
}

/** Cut to `width` cells with an ellipsis; text without colour codes only. */
export function cut(text: string, width: number): string {
  if (cellWidth(text) <= width) return text;
  let result = '';
  for (const character of text) {
    if (cellWidth(result + character) > width - 1) break;
    result += character;
  }
  return `${result}…`;
}

/** Break at blanks so that no line is wider than `width`; a longer word stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && cellWidth(line) + 1 + cellWidth(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines;
}
