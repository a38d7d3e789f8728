// Prompts that the host does not have yet, one entry of this browser's storage each, so that tabs of one chat do not write
// over each other's. They outlive the tab.

import type { PromptOptions } from './outbox.svelte';

const PREFIX = 'nexus:prompt:';
const DAYS_7 = 7 * 86_400_000;

export interface KeptPrompt {
  client_id: string;
  text: string;
  options: PromptOptions;
  /** When it was written. */
  at: number;
}

export function keep(session: string, { client_id, text, options }: Pick<KeptPrompt, 'client_id' | 'text' | 'options'>): void {
  try {
    localStorage.setItem(`${PREFIX}${session}:${client_id}`, JSON.stringify({ text, options, at: Date.now() }));
  } catch { /* full or off */ }
}

export function drop(session: string, clientId: string): void {
  try {
    localStorage.removeItem(`${PREFIX}${session}:${clientId}`);
  } catch { /* off */ }
}

/** Those of one chat, the oldest first. Older ones than a week are thrown away. */
export function keptPrompts(session: string): KeptPrompt[] {
  const found: KeptPrompt[] = [];
  try {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
    for (const name of names) {
      const { text, options, at } = JSON.parse(localStorage.getItem(name) ?? '{}') as Partial<KeptPrompt>;
      const own = `${PREFIX}${session}:`;
      if (at === undefined || text === undefined || !(Date.now() - at < DAYS_7)) localStorage.removeItem(name);
      else if (name.startsWith(own)) found.push({ client_id: name.slice(own.length), text, options: options ?? {}, at });
    }
  } catch { /* off, or another's words */ }
  return found.sort((a, b) => a.at - b.at);
}
