import { describe, expect, it } from 'vitest';
import { pieces, wellFormed } from './unseen';

const kinds = (text: string) => pieces(text).map(({ kind, text: part }) => `${kind}:${part}`);

describe('text to the letter', () => {
  it('names what is not seen', () => {
    expect(kinds('rm\u200b -rf')).toEqual(['plain:rm', 'unseen:⟨U+200B⟩', 'plain: -rf']);
    expect(kinds('a\u202eb')).toEqual(['plain:a', 'unseen:⟨U+202E⟩', 'plain:b']);
    expect(kinds('⟨U+001B⟩[31m')).toEqual(['unseen:⟨U+001B⟩', 'plain:[31m']);
    expect(kinds('tab\tand\nline')).toEqual(['plain:tab\tand\nline']);
    expect(kinds('\u00a0')).toEqual(['unseen:⟨U+00A0⟩']);
  });

  it('keeps letters from right to left together', () => {
    expect(kinds('rm שלום /tmp')).toEqual(['plain:rm ', 'rtl:שלום', 'plain: /tmp']);
  });

  it('replaces half of a surrogate pair', () => {
    expect(wellFormed('cut \ud83d')).toBe('cut \ufffd');
    expect(wellFormed('whole 😀')).toBe('whole 😀');
  });
});
