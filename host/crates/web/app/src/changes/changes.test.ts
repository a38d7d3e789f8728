import { describe, expect, it } from 'vitest';
import type { FileChange } from '../api/types';
import { changedFiles, sum } from './collect';
import { readDiff, type DiffLine } from './diff';
import { emphasis, rows } from './rows';
import { writtenAs } from './written';

const change = (path: string, more: Partial<FileChange> = {}): FileChange => ({ path, kind: 'modified', added_lines: 1, deleted_lines: 1, ...more });
const lines = (...texts: string[]): DiffLine[] => texts.map((text) => ({
  kind: text.startsWith('+') ? 'add' : text.startsWith('-') ? 'del' : text.startsWith('@') ? 'at' : text.startsWith('\\') ? 'other' : 'same', text, old: null, new: null,
}));

describe('two versions beside each other', () => {
  it('pairs what was deleted with what was added', () => {
    const found = rows(lines('@@ -1 +1 @@', ' a', '-b', '-c', '+B', '\\ No newline at end of file', ' d', '+e')).map(({ left, right }) => [left?.text, right?.text]);
    expect(found).toEqual([['@@ -1 +1 @@', undefined], [' a', ' a'], ['-b', '+B'], ['-c', undefined], [' d', ' d'], [undefined, '+e']]);
  });

  it('marks the words that differ, and none of lines that have nothing in common', () => {
    const [old, now] = lines('-  println!("hi");', '+  println!("hello");') as [DiffLine, DiffLine];
    const marks = emphasis([old, now]);
    expect(marks.get(old)?.filter(({ differs }) => differs).map(({ text }) => text)).toEqual(['hi']);
    expect(marks.get(now)?.filter(({ differs }) => differs).map(({ text }) => text)).toEqual(['hello']);
    expect(marks.get(now)?.map(({ text }) => text).join('')).toBe(now.text.slice(1));
    expect(emphasis(lines('-alpha beta', '+gamma delta')).size).toBe(0);
  });
});

describe('the changes of a chat', () => {
  it('have the lines of the calls where the backend tells counts only', () => {
    const files = changedFiles([change('b.rs', { added_lines: 3 }), change('c.rs', { diff: '@@' })], [
      { change: change('/w/b.rs', { diff: 'first' }), at: 1 }, { change: change('b.rs', { diff: 'second' }), at: 2 },
      { change: change('c.rs', { diff: 'not this' }), at: 3 }, { change: change('a.rs'), at: 4 }, { change: change('a.rs'), at: 5 },
    ], '/w');
    expect(files.map(({ path, added, steps }) => [path, added, steps.map(({ change: { diff } }) => diff)])).toEqual([
      ['a.rs', 2, [undefined, undefined]], ['b.rs', 3, ['first', 'second']], ['c.rs', 1, ['@@']]]);
    expect(sum(files)).toEqual({ added: 6, deleted: 4 });
  });

  it('have what was written of a new file', () => {
    const diff = writtenAs(change('n.rs', { kind: 'added' }), { content: 'a\nb\n' });
    expect(diff && readDiff(diff, '/w').blocks).toMatchObject([{ type: 'lines', lines: [{ kind: 'at' }, { kind: 'add', text: '+a', new: 1 }, { text: '+b', new: 2 }] }]);
    expect(writtenAs(change('n.rs'), { content: 'a' })).toBeNull();
  });
});
