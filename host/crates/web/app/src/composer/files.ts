// Files that are attached: what may be, before anything is uploaded, and the upload.

import { call } from '../api/rest';
import type { Attachment } from '../api/types';

/** PROMPT_ATTACHMENTS and PROMPT_ATTACHMENTS_BYTES in host/crates/model/src/limits.rs. */
export const MOST_FILES = 16;
export const MOST_BYTES = 8 * 1024 * 1024;

export type Refusal = 'tooMany' | 'tooLarge' | 'empty' | null;

/** Why these files cannot be added to those that are there. */
export function refusal(there: readonly File[], added: readonly File[]): Refusal {
  if (there.length + added.length > MOST_FILES) return 'tooMany';
  if (added.some(({ size }) => size === 0)) return 'empty';
  if ([...there, ...added].reduce((sum, { size }) => sum + size, 0) > MOST_BYTES) return 'tooLarge';
  return null;
}

/** Uploads them one after the other and gives their ids. */
export async function upload(session: string, files: readonly File[]): Promise<string[]> {
  const ids: string[] = [];
  for (const file of files) {
    const { id } = await call<Attachment>(`/sessions/${encodeURIComponent(session)}/attachments`, { method: 'POST', body: file, query: { name: file.name } });
    if (id) ids.push(id);
  }
  return ids;
}
