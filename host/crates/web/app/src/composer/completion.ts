// What is being written at the caret that can be completed: a command at the beginning, or a file anywhere.

export interface Token {
  kind: 'command' | 'file';
  /** What is written of it, without its sign. */
  words: string;
  /** Where it begins, with its sign, and where the caret is. */
  from: number;
  to: number;
}

export function tokenAt(text: string, caret: number): Token | null {
  const before = text.slice(0, caret);
  const command = /^\/([^\s/]*)$/.exec(before);
  if (command) return { kind: 'command', words: command[1] ?? '', from: 0, to: caret };
  const file = /(?:^|\s)@([^\s@]*)$/.exec(before);
  if (!file) return null;
  const words = file[1] ?? '';
  return { kind: 'file', words, from: caret - words.length - 1, to: caret };
}

/** The text with the token replaced, and where the caret is then. */
export function completed(text: string, token: Token, value: string): { text: string; caret: number } {
  const sign = token.kind === 'command' ? '/' : '@';
  const head = `${text.slice(0, token.from)}${sign}${value} `;
  return { text: head + text.slice(token.to).replace(/^ /, ''), caret: head.length };
}

/** A text that begins with a command that there is, as the call of it. */
export function commandOf(text: string, names: readonly string[]): { name: string; arguments: string } | null {
  const found = /^\/(\S+)(?:\s+([\s\S]*))?$/.exec(text);
  const name = found?.[1];
  return name !== undefined && names.includes(name) ? { name, arguments: found?.[2] ?? '' } : null;
}

/** The files that are still named in the text, of those that were chosen. */
export const filesOf = (text: string, chosen: readonly string[]): string[] => chosen.filter((path) => text.includes(`@${path}`));

/** Those that have all letters in order, the ones that begin so first. */
export function matching<T>(all: readonly T[], name: (one: T) => string, words: string): T[] {
  const wanted = words.toLowerCase();
  const rank = (one: T): number => {
    const text = name(one).toLowerCase();
    if (text.startsWith(wanted)) return 0;
    if (text.includes(wanted)) return 1;
    let at = -1;
    for (const letter of wanted) {
      at = text.indexOf(letter, at + 1);
      if (at < 0) return 3;
    }
    return 2;
  };
  return all.map((one) => ({ one, rank: rank(one) })).filter(({ rank: of }) => of < 3).sort((a, b) => a.rank - b.rank).map(({ one }) => one);
}
