import { describe, expect, it } from 'vitest';
import { filtered, joined, KEPT, type Line } from './lines';

const line = (n: number, text = `line ${n}`) => ({ timestamp: `2026-01-01T00:00:${String(n).padStart(2, '0')}Z`, level: 'INFO' as const, text });
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => line(from + n));
const texts = (lines: readonly Line[]) => lines.map(({ text }) => text);

describe('the lines of the log', () => {
  it('are put together where they overlap', () => {
    const first = joined([], range(0, 5)).lines;
    const { lines, gap } = joined(first, range(2, 8));
    expect(texts(lines)).toEqual(texts(joined([], range(0, 8)).lines));
    expect(lines.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(gap).toBe(false);
  });

  it('are the same object where nothing is new', () => {
    const first = joined([], range(0, 5)).lines;
    expect(joined(first, range(0, 5)).lines).toBe(first);
    expect(joined(first, range(3, 5)).lines).toBe(first);
    expect(joined(first, []).lines).toBe(first);
  });

  it('begin again where there were more than were read', () => {
    const { lines, gap } = joined(joined([], range(0, 5)).lines, range(7, 9));
    expect([texts(lines), gap]).toEqual([['line 7', 'line 8'], true]);
    expect(lines[0]?.id).toBe(5);
  });

  it('are bounded', () => {
    const many = Array.from({ length: KEPT }, (_, n) => line(n % 60, `line ${n}`));
    const { lines } = joined(joined([], many).lines, [...many.slice(-10), line(1, 'newest')]);
    expect([lines.length, lines.at(-1)?.text]).toEqual([KEPT, 'newest']);
  });

  it('are filtered by level and by words', () => {
    const all = joined([], [{ ...line(1), level: 'ERROR' as const, text: 'Tunnel main failed' }, line(2, 'tunnel opened'), { timestamp: null, level: null, text: 'damaged' }]).lines;
    expect(texts(filtered(all, 'WARN', ''))).toEqual(['Tunnel main failed']);
    expect(texts(filtered(all, 'INFO', 'TUNNEL opened'))).toEqual(['tunnel opened']);
    expect(filtered(all, null, '  ')).toBe(all);
  });
});
