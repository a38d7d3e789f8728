// What is done to the chat that is shown as a whole.

import { call } from '../api/rest';
import { t } from '../i18n/texts.svelte';
import { nexus } from '../state/nexus.svelte';
import { attempt, has } from './message-actions';

export const canCompact = (): boolean =>
  has('compaction') && !nexus.foreign && !nexus.chat.busy && nexus.chat.messages.some(({ info }) => info.role === 'assistant');

/** Lets the backend summarize the chat. */
export const compact = (): Promise<boolean> => attempt(async () => {
  nexus.tell(t('chat.compacting'), true);
  nexus.say(t('chat.compacting'));
  await call(`/sessions/${encodeURIComponent(nexus.session ?? '')}/compact`, { method: 'POST', body: {} });
  nexus.tell(null);
});

export type ExportKind = 'markdown' | 'json';

/** Offers the whole chat as a file. */
export const saveAs = (kind: ExportKind): Promise<boolean> => attempt(async () => {
  const { collect, fileName, markdown } = await import('./export');
  const chat = await collect(nexus.session ?? '');
  const words = { you: t('message.you'), agent: t('message.answer'), thoughts: t('reasoning.closed'), summarized: t('message.summarized') };
  const text = kind === 'json' ? `${JSON.stringify(chat, null, 2)}\n` : markdown(chat, words);
  const file = new Blob([text], { type: kind === 'json' ? 'application/json' : 'text/markdown' });
  const link = Object.assign(document.createElement('a'), {
    href: URL.createObjectURL(file), download: fileName(chat.session.title || t('chats.untitled'), kind),
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  nexus.say(t('chat.exported'));
});
