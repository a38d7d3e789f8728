// Unified diffs, line by line. A file's name is the one that the host has for it, and not what a text says: which lines belong
// to a file is known by the counts in its `@@` lines, so that a line of a file is never taken for a file's name. Every line of a
// diff is in the answer.

import type { FileChange } from '../api/types';

export type LineKind = 'at' | 'add' | 'del' | 'same' | 'other';

export interface DiffLine {
  kind: LineKind;
  text: string;
  /** The number of the line in the old and in the new file, where it has one. */
  old: number | null;
  new: number | null;
}

/** What the headers of a diff say beside what the heading says. */
export type Renamed =
  | { type: 'deletes' | 'new' | 'names'; path: string }
  | { type: 'becomes'; from: string; to: string };

export type Block = { type: 'lines'; lines: DiffLine[] } | { type: 'renamed'; renamed: Renamed };

export interface FileDiff {
  blocks: Block[];
  files: number;
  added: number;
  removed: number;
}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;
// Some write a tab after a name.
const nameOf = (line: string): string => line.slice(4).replace(/\t$/, '');
/** A file of the project folder is named with it or without it. */
const inside = (path: string, folder: string): string => (folder && path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path);

function renamed(kind: FileChange['kind'], path: string, from: string, to: string): Renamed | null {
  if (to === '/dev/null') return kind === 'deleted' && from === path ? null : { type: 'deletes', path: from };
  if (from === '/dev/null') return kind === 'added' && to === path ? null : { type: 'new', path: to };
  const same = (from === path && to === path) || (from === `a/${path}` && to === `b/${path}`);
  if (same) return null;
  return from === to ? { type: 'names', path: to } : { type: 'becomes', from, to };
}

export function readDiff(file: FileChange, folder: string): FileDiff {
  const sum: FileDiff = { blocks: [], files: 1, added: 0, removed: 0 };
  if (!file.diff) return { ...sum, added: file.added_lines, removed: file.deleted_lines };
  let open: DiffLine[] | null = null;
  let left = { old: 0, new: 0 };
  let at = { old: 0, new: 0 };
  let headers = 0;
  const put = (kind: LineKind, text: string, numbers: { old: number | null; new: number | null } = { old: null, new: null }) => {
    if (!open) {
      open = [];
      sum.blocks.push({ type: 'lines', lines: open });
    }
    open.push({ kind, text, ...numbers });
  };
  const lines = file.diff.replace(/\n$/, '').split('\n');
  const line = (n: number): string => lines[n] ?? '';
  const isHeaders = (n: number): boolean => line(n).startsWith('--- ') && line(n + 1).startsWith('+++ ');
  for (let n = 0; n < lines.length; n++) {
    const text = line(n);
    const hunk = left.old <= 0 && left.new <= 0 ? HUNK.exec(text) : null;
    if (hunk) {
      at = { old: Number(hunk[1]), new: Number(hunk[3]) };
      left = { old: Number(hunk[2] ?? 1), new: Number(hunk[4] ?? 1) };
      put('at', text);
    } else if (left.old > 0 || left.new > 0) {
      if (text.startsWith('+')) {
        left.new--; sum.added++;
        put('add', text, { old: null, new: at.new++ });
      } else if (text.startsWith('-')) {
        left.old--; sum.removed++;
        put('del', text, { old: at.old++, new: null });
      } else if (text.startsWith('\\')) put('other', text);
      else {
        left.old--; left.new--;
        put('same', text, { old: at.old++, new: at.new++ });
      }
    } else if (isHeaders(n)) {
      const next = line(++n);
      const words = renamed(file.kind, inside(file.path, folder), inside(nameOf(text), folder), inside(nameOf(next), folder));
      if (words) {
        open = null;
        sum.blocks.push({ type: 'renamed', renamed: words });
        // The first ones are this file's own.
        if (headers > 0) sum.files++;
      // Below other lines they may be lines of the file.
      } else if (open) {
        put('other', text);
        put('other', next);
      }
      headers++;
    // As opencode writes it, it says once more what the headers below it say.
    } else if (text.startsWith('Index: ') && /^=+$/.test(line(n + 1)) && isHeaders(n + 2) && nameOf(line(n + 3)) === text.slice(7)) n++;
    else put('other', text);
  }
  return sum;
}
