// A chat as a file: all its messages, also those that the page has not loaded, and each text as a whole.

import { call } from '../api/rest';
import type { Content, FileChange, Message, MessageWithParts, RenderedPart, ServerFrame, SessionInfo, SessionState, TodoItem, Tool } from '../api/types';
import { headline } from '../tools/calls';
import { unwrapped } from '../tools/outputs';

export interface ExportedMessage extends Message {
  content: Content[];
}

export interface ExportedChat {
  session: SessionInfo;
  messages: ExportedMessage[];
  todo: readonly TodoItem[];
  changes: readonly FileChange[];
}

export async function collect(session: string): Promise<ExportedChat> {
  const at = `/sessions/${encodeURIComponent(session)}`;
  const state = await call<SessionState>(at);
  let before = state.before;
  const pages: (readonly MessageWithParts[])[] = [state.messages];
  while (before) {
    const older = await call<Extract<ServerFrame, { type: 'older' }>>(`${at}/older`, { query: { before } });
    pages.unshift(older.messages);
    // One that answers with the same place again would never end.
    before = older.before === before ? undefined : older.before;
  }
  const messages: ExportedMessage[] = [];
  for (const { message, parts } of pages.flat()) {
    const content: Content[] = [];
    for (const part of parts) {
      const whole = part.truncated_bytes ? await call<RenderedPart>(`${at}/parts/${encodeURIComponent(part.id)}`) : part;
      content.push(whole.content);
    }
    messages.push({ ...message, content });
  }
  return { session: state.info, messages, todo: state.todo ?? [], changes: state.changes ?? [] };
}

interface Words {
  you: string;
  agent: string;
  thoughts: string;
  summarized: string;
}

/** A block of code whose fence is longer than any in it. */
export function fenced(text: string, language = ''): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text.replace(/\n$/, '')}\n${fence}`;
}

const quoted = (text: string): string => text.split('\n').map((line) => `> ${line}`.trimEnd()).join('\n');

function call_(tool: Tool, folder: string): string {
  const { name, subject } = headline(tool, folder);
  const blocks = [`**${name}** ${subject ? `\`${subject.replaceAll('`', "'")}\`` : ''}`.trim() + (tool.state === 'completed' ? '' : ` (${tool.state})`)];
  for (const { diff } of tool.changes ?? []) if (diff) blocks.push(fenced(diff, 'diff'));
  if (tool.output && !tool.changes?.length) blocks.push(fenced(unwrapped(tool.output)));
  if (tool.error) blocks.push(quoted(tool.error));
  return blocks.join('\n\n');
}

function block(content: Content, words: Words, folder: string): string {
  switch (content.type) {
    case 'text': return content.text;
    case 'reasoning': return quoted(`*${words.thoughts}*\n\n${content.text}`);
    case 'tool': return call_(content, folder);
    case 'attachment': return `*${[content.name, content.mime].filter(Boolean).join(' · ')}*`;
    case 'compacted': return `*${words.summarized}*`;
    case 'other': return '';
  }
}

export function markdown(chat: ExportedChat, words: Words): string {
  const parts = [`# ${chat.session.title || chat.session.id}`, `${new Date(chat.session.created_at).toISOString()} · \`${chat.session.workspace}\``];
  let author = '';
  for (const message of chat.messages) {
    const blocks = message.content.map((content) => block(content, words, chat.session.workspace)).filter((text) => text.trim());
    if (message.error) blocks.push(quoted(message.error));
    if (!blocks.length) continue;
    // The steps of an agent are one answer.
    const name = message.role === 'user' ? words.you : words.agent;
    if (name !== author || message.role === 'user') parts.push(`## ${name}`);
    author = name;
    parts.push(...blocks);
  }
  return `${parts.join('\n\n')}\n`;
}

export function fileName(title: string, kind: 'markdown' | 'json'): string {
  const name = title.normalize('NFC').replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '').slice(0, 60) || 'chat';
  return `${name}.${kind === 'json' ? 'json' : 'md'}`;
}
