import { describe, expect, it } from 'vitest';
import type { FileChange } from '../api/types';
import { readDiff } from './diff';

const change = (diff: string, more: Partial<FileChange> = {}): FileChange =>
  ({ path: 'src/a.rs', kind: 'modified', added_lines: 0, deleted_lines: 0, diff, ...more });
const lines = (diff: string) => readDiff(change(diff), '/w').blocks.flatMap((block) => (block.type === 'lines' ? block.lines : []));

describe('a unified diff', () => {
  it('counts and numbers its lines', () => {
    const read = readDiff(change('--- src/a.rs\n+++ src/a.rs\n@@ -3,3 +3,3 @@\n same\n-old\n+new\n end\n'), '/w');
    expect([read.added, read.removed, read.files]).toEqual([1, 1, 1]);
    expect(read.blocks).toHaveLength(1);
    expect(lines('@@ -3,2 +3,2 @@\n same\n-old\n+new\n').map(({ kind, old, new: now }) => [kind, old, now])).toEqual([
      ['at', null, null], ['same', 3, 3], ['del', 4, null], ['add', null, 4],
    ]);
  });

  it('never takes a line of a file for the name of one', () => {
    const read = readDiff(change('--- src/a.rs\n+++ src/a.rs\n@@ -1,2 +1,2 @@\n--- /etc/passwd\n+++ /etc/passwd\n same\n'), '/w');
    expect(read.blocks).toHaveLength(1);
    expect([read.added, read.removed]).toEqual([1, 1]);
  });

  it('says where its headers name another file than the heading', () => {
    const of = (headers: string, more: Partial<FileChange> = {}) => readDiff(change(`${headers}\n@@ -1 +1 @@\n-a\n+b\n`, more), '/w').blocks[0];
    expect(of('--- /w/src/a.rs\n+++ /w/src/a.rs')).toMatchObject({ type: 'lines' });
    expect(of('--- a/src/a.rs\n+++ b/src/a.rs')).toMatchObject({ type: 'lines' });
    expect(of('--- src/a.rs\n+++ ../secret')).toEqual({ type: 'renamed', renamed: { type: 'becomes', from: 'src/a.rs', to: '../secret' } });
    expect(of('--- src/a.rs\n+++ /dev/null')).toEqual({ type: 'renamed', renamed: { type: 'deletes', path: 'src/a.rs' } });
    expect(of('--- /dev/null\n+++ src/a.rs')).toEqual({ type: 'renamed', renamed: { type: 'new', path: 'src/a.rs' } });
    expect(of('--- /dev/null\n+++ src/a.rs', { kind: 'added' })).toMatchObject({ type: 'lines' });
  });

  it('loses no line', () => {
    const diff = 'Index: other\nnonsense\n@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\ntrailing';
    expect(lines(diff).map(({ text }) => text).join('\n')).toBe(diff);
  });

  it('counts what the host counted where there are no lines', () => {
    expect(readDiff({ path: 'x', kind: 'deleted', added_lines: 0, deleted_lines: 7 }, '/w')).toMatchObject({ removed: 7, blocks: [] });
  });
});
