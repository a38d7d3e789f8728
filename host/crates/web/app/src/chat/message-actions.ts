// What can be done with a message: copied, sent again, edited, undone, continued in a copy.

import { ApiError, call } from '../api/rest';
import type { RenderedPart, SessionInfo } from '../api/types';
import { draft, keepDraft } from '../composer/drafts';
import { focusComposer } from '../composer/focus';
import { t } from '../i18n/texts.svelte';
import { nexus } from '../state/nexus.svelte';
import { Sending } from './outbox.svelte';
import type { MessageState, PartState } from './transcript.svelte';
import { undone } from './undone.svelte';

export const has = (feature: 'fork' | 'revert' | 'compaction' | 'models'): boolean => nexus.backend?.features?.includes(feature) ?? false;

const at = (what: string): string => `/sessions/${encodeURIComponent(nexus.session ?? '')}/${what}`;

const isText = (part: PartState): boolean => part.data.content.type === 'text';

/** The text of a part as a whole, also where only its beginning is here. */
async function whole(part: PartState): Promise<string> {
  if (!part.data.truncated_bytes) return part.text;
  const { content } = await call<RenderedPart>(at(`parts/${encodeURIComponent(part.id)}`));
  return content.type === 'text' ? content.text : part.text;
}

export async function textOf(messages: readonly MessageState[]): Promise<string> {
  const parts = messages.flatMap((message) => message.parts.filter(isText));
  return (await Promise.all(parts.map(whole))).filter(Boolean).join('\n\n');
}

/** Says what went wrong. The answer: nothing did. */
export async function attempt(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    nexus.tell(error instanceof ApiError ? error.message || t('composer.notConnected') : String(error));
    return false;
  }
}

const hasFiles = (message: MessageState): boolean => message.parts.some(({ data }) => data.content.type === 'attachment');

export const sendAgain = (message: MessageState): Promise<boolean> => attempt(async () => {
  const text = await textOf([message]);
  focusComposer();
  const options = message.info.options ? { ...message.info.options } : {};
  // A command takes the place of the text.
  nexus.outbox.prompt(options.command ? '' : text, options);
  if (hasFiles(message)) nexus.tell(t('message.withoutFiles'), true);
});

/** Undoes the message and what came after it; says in the chat what that was. */
async function revert(message: MessageState): Promise<string> {
  const text = await textOf([message]);
  const { messages } = nexus.chat;
  const later = messages.slice(messages.indexOf(message) + 1).filter(({ info }) => info.role === 'user').length;
  const session = nexus.session ?? '';
  await call(at('revert'), { method: 'POST', body: { message: message.id } });
  undone.what = { session, message: message.id, text, later };
  return text;
}

export const undo = (message: MessageState): Promise<boolean> => attempt(async () => {
  await revert(message);
  nexus.say(t('message.undone'));
});

export const restore = (): Promise<boolean> => attempt(async () => {
  await call(at('restore'), { method: 'POST' });
  nexus.say(t('message.restored'));
});

/** Puts the text into the composer; where the backend can undo, the message is undone first, and the new one takes its place. */
export const edit = (message: MessageState): Promise<boolean> => attempt(async () => {
  // What is written there is not to be lost.
  if (draft(nexus.session)) return nexus.tell(t('message.draftInTheWay'), true);
  const text = has('revert') ? await revert(message) : await textOf([message]);
  nexus.returned = new Sending(text);
  focusComposer();
  if (hasFiles(message)) nexus.tell(t('message.withoutFiles'), true);
});

/** A copy of the chat up to `before`; null: as a whole. `rewrite`: the text of that message is to be written again there. */
export const fork = (before: MessageState | null, rewrite: boolean): Promise<boolean> => attempt(async () => {
  const text = before && rewrite ? await textOf([before]) : '';
  const copy = await call<SessionInfo>(at('fork'), { method: 'POST', body: before ? { before: before.id } : {} });
  if (text) keepDraft(copy.id, text);
  nexus.open(copy.id);
  focusComposer();
});
