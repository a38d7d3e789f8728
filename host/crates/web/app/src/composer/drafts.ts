// What was written and not sent, for each chat. It outlives the tab.

const PREFIX = 'nexus:draft:';

export function draft(session: string | null): string {
  try {
    return localStorage.getItem(`${PREFIX}${session ?? 'new'}`) ?? '';
  } catch {
    return '';
  }
}

export function keepDraft(session: string | null, text: string): void {
  try {
    if (text) localStorage.setItem(`${PREFIX}${session ?? 'new'}`, text);
    else localStorage.removeItem(`${PREFIX}${session ?? 'new'}`);
  } catch { /* full or off */ }
}
