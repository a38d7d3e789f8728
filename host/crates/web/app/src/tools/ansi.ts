// The colours that programs write into their output (SGR sequences of ECMA-48). Everything else that a terminal would obey is
// dropped, and characters that are not seen stay marked, so that nothing can be hidden in an output.

export interface Span {
  text: string;
  /** Names of classes: `fg-1`, `bg-4`, `bold`, `dim`, `italic`, `underline`. */
  styles: string[];
}

// The host marks the control character that it found, or it came through JSON as it is.
const SEQUENCE = /(?:\u001b|⟨U\+001B⟩)(?:\[([0-9;:]*)([ -/]*)([@-~])|\][^\u0007\u001b⟨]*(?:\u0007|\u001b\\|⟨U\+0007⟩|⟨U\+001B⟩\\)|[()][0-9A-B]|[=>78])/g;

interface Pen {
  fg: number | null;
  bg: number | null;
  on: Set<string>;
}

const FLAGS: Record<number, string> = { 1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline' };

function draw(pen: Pen, codes: number[]): void {
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] ?? 0;
    const flag = FLAGS[code];
    if (code === 0) Object.assign(pen, { fg: null, bg: null, on: new Set() });
    else if (flag) pen.on.add(flag);
    else if (code === 22) { pen.on.delete('bold'); pen.on.delete('dim'); }
    else if (code === 23) pen.on.delete('italic');
    else if (code === 24) pen.on.delete('underline');
    else if (code >= 30 && code <= 37) pen.fg = code - 30;
    else if (code >= 90 && code <= 97) pen.fg = code - 90 + 8;
    else if (code === 39) pen.fg = null;
    else if (code >= 40 && code <= 47) pen.bg = code - 40;
    else if (code >= 100 && code <= 107) pen.bg = code - 100 + 8;
    else if (code === 49) pen.bg = null;
    else if (code === 38 || code === 48) {
      // 256 colours: the first 16 are the ones above; others, and 24 bits, have no place in the page's palette.
      const index = codes[at + 1] === 5 ? codes[at + 2] ?? 0 : null;
      const colour = index !== null && index < 16 ? index : null;
      if (code === 38) pen.fg = colour;
      else pen.bg = colour;
      at += codes[at + 1] === 5 ? 2 : 4;
    }
  }
}

export function spans(text: string): Span[] {
  const all: Span[] = [];
  const pen: Pen = { fg: null, bg: null, on: new Set() };
  const put = (part: string) => {
    if (!part) return;
    const styles = [pen.fg === null ? null : `fg-${pen.fg}`, pen.bg === null ? null : `bg-${pen.bg}`, ...pen.on].filter((name) => name !== null);
    all.push({ text: part, styles });
  };
  let at = 0;
  for (const found of text.matchAll(SEQUENCE)) {
    put(text.slice(at, found.index));
    at = found.index + found[0].length;
    if (found[3] === 'm' && !found[2]) draw(pen, (found[1] || '0').split(/[;:]/).map(Number));
  }
  put(text.slice(at));
  return all;
}
