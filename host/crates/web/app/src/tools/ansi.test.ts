import { describe, expect, it } from 'vitest';
import { spans } from './ansi';

describe('the colours of an output', () => {
  it('reads colours and flags, and their ends', () => {
    expect(spans('\u001b[1;31mbad\u001b[0m good')).toEqual([{ text: 'bad', styles: ['fg-1', 'bold'] }, { text: ' good', styles: [] }]);
    expect(spans('\u001b[92mok\u001b[39m.')).toEqual([{ text: 'ok', styles: ['fg-10'] }, { text: '.', styles: [] }]);
    expect(spans('\u001b[38;5;1mx\u001b[38;2;1;2;3my')).toEqual([{ text: 'x', styles: ['fg-1'] }, { text: 'y', styles: [] }]);
  });

  it('reads what the host marked', () => {
    expect(spans('⟨U+001B⟩[32mok⟨U+001B⟩[m')).toEqual([{ text: 'ok', styles: ['fg-2'] }]);
  });

  it('drops what a terminal would obey, and nothing else', () => {
    expect(spans('a\u001b[2Jb\u001b]0;title\u0007c\u001b[1;1Hd')).toEqual(['a', 'b', 'c', 'd'].map((text) => ({ text, styles: [] })));
    expect(spans('\u001b unfinished').map(({ text }) => text).join('')).toBe('\u001b unfinished');
  });
});
