// What a chat has changed, file by file. The backend says which files and how many lines; where it does not say which lines, they
// are those of the calls, in their order.

import type { FileChange } from '../api/types';
import { inside } from '../tools/calls';

export interface Step {
  change: FileChange;
  /** When it was done; null: that is not known. */
  at: number | null;
}

export interface ChangedFile {
  path: string;
  kind: FileChange['kind'];
  added: number;
  deleted: number;
  steps: Step[];
}

/** `calls`: what calls did, in their order. `folder`: the project folder, with or without which a path may be named. */
export function changedFiles(listed: readonly FileChange[], calls: readonly Step[], folder: string): ChangedFile[] {
  const files = new Map<string, ChangedFile>();
  for (const change of listed) {
    const path = inside(change.path, folder);
    files.set(path, { path, kind: change.kind, added: change.added_lines, deleted: change.deleted_lines, steps: change.diff ? [{ change, at: null }] : [] });
  }
  // One that the backend has as a whole needs no steps.
  const whole = new Set([...files.values()].filter(({ steps }) => steps.length).map(({ path }) => path));
  const counted = new Set(files.keys());
  for (const step of calls) {
    const path = inside(step.change.path, folder);
    if (whole.has(path)) continue;
    let file = files.get(path);
    if (!file) {
      file = { path, kind: step.change.kind, added: 0, deleted: 0, steps: [] };
      files.set(path, file);
    }
    file.steps.push(step);
    if (counted.has(path)) continue;
    // Not in the backend's list, or not yet.
    file.added += step.change.added_lines;
    file.deleted += step.change.deleted_lines;
    if (step.change.kind === 'deleted') file.kind = 'deleted';
  }
  return [...files.values()].sort((a, b) => a.path.localeCompare(b.path));
}

export const sum = (files: readonly Pick<ChangedFile, 'added' | 'deleted'>[]): { added: number; deleted: number } =>
  files.reduce((all, { added, deleted }) => ({ added: all.added + added, deleted: all.deleted + deleted }), { added: 0, deleted: 0 });
