// The lines of the log as they are shown: read again and again, put together, filtered.

import type { LogLine } from '../api/types';

/** How many lines are kept. */
export const KEPT = 5_000;

export const LEVELS = ['ERROR', 'WARN', 'INFO', 'DEBUG', 'TRACE'] as const;
export type Level = (typeof LEVELS)[number];

export interface Line {
  /** Counted up: names the line among all that are shown. */
  readonly id: number;
  readonly timestamp: string | null;
  readonly level: LogLine['level'];
  readonly text: string;
}

const same = (a: LogLine, b: LogLine): boolean => a.timestamp === b.timestamp && a.text === b.text && a.level === b.level;

/** How many of the first `fresh` lines are the last of `known`. */
function overlap(known: readonly LogLine[], fresh: readonly LogLine[]): number {
  const last = known.at(-1);
  if (!last) return 0;
  for (let end = fresh.length; end > 0; end -= 1) {
    const size = Math.min(end, known.length);
    let n = 0;
    while (n < size) {
      const a = known[known.length - 1 - n];
      const b = fresh[end - 1 - n];
      if (!a || !b || !same(a, b)) break;
      n += 1;
    }
    if (n === size) return end;
  }
  return 0;
}

/** The lines that are known with the newest ones. `gap`: there were more between them than were read. */
export function joined(known: readonly Line[], fresh: readonly LogLine[]): { lines: readonly Line[]; gap: boolean } {
  const shared = overlap(known, fresh);
  const gap = known.length > 0 && fresh.length > 0 && shared === 0;
  if (shared === fresh.length && !gap) return { lines: known, gap };
  let id = (known.at(-1)?.id ?? -1) + 1;
  const added = fresh.slice(shared).map(({ timestamp, level, text }) => ({ id: id++, timestamp, level, text }));
  return { lines: (gap ? added : [...known, ...added]).slice(-KEPT), gap };
}

/** `level`: the mildest one that is shown; null shows all, also lines that have none. `words`: each of them is in the line. */
export function filtered(lines: readonly Line[], level: Level | null, words: string): readonly Line[] {
  const worst = level === null ? null : LEVELS.slice(0, LEVELS.indexOf(level) + 1);
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  if (!worst && !wanted.length) return lines;
  return lines.filter((line) => {
    if (worst && !worst.some((one) => one === line.level)) return false;
    const text = line.text.toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
}
