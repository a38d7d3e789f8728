// Lines of a diff beside each other, and the words in which two lines differ.

import { diffWordsWithSpace } from 'diff';
import type { DiffLine } from './diff';

/** One row side by side. A line that is the same is on both sides; one that is no line of a file is on the left, alone. */
export interface Row {
  left: DiffLine | null;
  right: DiffLine | null;
}

export interface Span {
  text: string;
  /** It differs from the line beside it. */
  differs: boolean;
}

export function rows(lines: readonly DiffLine[]): Row[] {
  const all: Row[] = [];
  let gone: DiffLine[] = [];
  let come: DiffLine[] = [];
  const flush = () => {
    for (let n = 0; n < Math.max(gone.length, come.length); n++) all.push({ left: gone[n] ?? null, right: come[n] ?? null });
    gone = [];
    come = [];
  };
  for (const line of lines) {
    if (line.kind === 'del') {
      // What is deleted after something was added replaces something else.
      if (come.length) flush();
      gone.push(line);
    } else if (line.kind === 'add') come.push(line);
    else if (line.kind === 'other' && line.text.startsWith('\\')) continue;
    else {
      flush();
      all.push({ left: line, right: line.kind === 'same' ? line : null });
    }
  }
  flush();
  return all;
}

/** Longer lines are not compared word by word. */
const LONGEST = 2_000;
/** Lines that have less than this in common are not two versions of one line. */
const ALIKE = 0.35;

const bare = ({ text }: DiffLine): string => text.slice(1);

/** The spans of the lines that have another version beside them. */
export function emphasis(lines: readonly DiffLine[]): Map<DiffLine, Span[]> {
  const all = new Map<DiffLine, Span[]>();
  for (const { left, right } of rows(lines)) {
    if (left?.kind !== 'del' || right?.kind !== 'add') continue;
    const [old, now] = [bare(left), bare(right)];
    if (Math.max(old.length, now.length) > LONGEST) continue;
    const parts = diffWordsWithSpace(old, now);
    const same = parts.reduce((sum, { added, removed, value }) => sum + (added || removed ? 0 : value.trim().length), 0);
    if (same < ALIKE * Math.min(old.trim().length, now.trim().length)) continue;
    all.set(left, parts.filter(({ added }) => !added).map(({ value, removed }) => ({ text: value, differs: removed })));
    all.set(right, parts.filter(({ removed }) => !removed).map(({ value, added }) => ({ text: value, differs: added })));
  }
  return all;
}
