// A text that grows, as whole sentences in plain words: what a screen reader reads while an answer comes.

/** Where a sentence ends: after its mark and a space, or at the end of a line. */
const END = /[.!?…]["')\]]*\s+|[。！？]|\n+/g;

export class Sentences {
  #read = 0;
  #inCode = false;
  #code: string;

  /** `code`: what is read in place of a block of code. */
  constructor(code: string) {
    this.#code = code;
  }

  /** The sentences that are whole by now and were not before. `closed`: the text is at its end. */
  take(text: string, closed = false): string {
    const fresh = text.slice(this.#read);
    let end = 0;
    for (const found of fresh.matchAll(END)) end = found.index + found[0].length;
    if (closed) end = fresh.length;
    this.#read += end;
    return this.#plain(fresh.slice(0, end));
  }

  #plain(text: string): string {
    const lines: string[] = [];
    for (const line of text.split('\n')) {
      if (/^\s*(```|~~~)/.test(line)) {
        if (!this.#inCode) lines.push(this.#code);
        this.#inCode = !this.#inCode;
      } else if (!this.#inCode) lines.push(plain(line));
    }
    return lines.filter(Boolean).join('\n');
  }
}

/** A line of Markdown without its marks. */
function plain(line: string): string {
  return line
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/^\s*(#{1,6}|[-*+]|>|\d+\.)\s+/, '')
    .replace(/^\s*\|?[-:|\s]+\|?\s*$/, '')
    .replace(/(\*\*|__|\*|`|~~)/g, '')
    .replaceAll('|', ' ')
    .trim();
}
