// A file that was written as a whole, where the backend has no diff of it: its lines are what the tool was called with.

import type { FileChange } from '../api/types';
import { text, type Input } from '../tools/calls';

/** Null: the call does not say what it wrote, or there was a file before, of which nobody knows what was in it. */
export function writtenAs(change: FileChange, input: Input | null): FileChange | null {
  const content = text(input, 'content', 'contents', 'file_text');
  if (!content || change.kind !== 'added') return null;
  const lines = content.replace(/\n$/, '').split('\n');
  return { ...change, diff: `--- /dev/null\n+++ ${change.path}\n@@ -0,0 +1,${lines.length} @@\n${lines.map((line) => `+${line}`).join('\n')}\n` };
}
