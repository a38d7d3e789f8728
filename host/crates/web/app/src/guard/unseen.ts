// Text that is meant to the letter: nothing in it is hidden, and nothing turns its order around.

// What is not seen as what it is: the host's marks; where JSON's escapes hid it from the host, the character itself; and
// letters that run from right to left, which would turn around what stands between two of them.
const UNSEEN = new RegExp('⟨U\\+[0-9A-F]{4,6}⟩'
  + '|(?![\\n\\t])[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Co}\\p{Cs}]'
  + '|(?! )[\\p{Zs}\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u2800\\u3164\\uffa0\\ufe00-\\ufe0f]|[\\u{e0100}-\\u{e01ef}]'
  + '|(?<rtl>(?:(?!\\p{Cf})[\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc\\u{10800}-\\u{10fff}\\u{1e800}-\\u{1efff}])+)', 'gu');

/** Plain text; letters from right to left, which are kept together; or the name of a character that is not seen. */
export interface Piece {
  kind: 'plain' | 'rtl' | 'unseen';
  text: string;
}

export function pieces(text: string): Piece[] {
  const all: Piece[] = [];
  const plain = (part: string) => part && all.push({ kind: 'plain', text: part });
  let at = 0;
  for (const found of text.matchAll(UNSEEN)) {
    plain(text.slice(at, found.index));
    at = found.index + found[0].length;
    if (found.groups?.['rtl']) all.push({ kind: 'rtl', text: found[0] });
    else if (found[0].startsWith('⟨')) all.push({ kind: 'unseen', text: found[0] });
    else all.push({ kind: 'unseen', text: `⟨U+${(found[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩` });
  }
  plain(text.slice(at));
  return all;
}

/** JSON has no place for half of a surrogate pair, which a cut text can end in. */
export const wellFormed = (text: string): string =>
  (text as { toWellFormed?: () => string }).toWellFormed?.()
  ?? Array.from(text, (char) => (/^[\ud800-\udfff]$/.test(char) ? '\ufffd' : char)).join('');
