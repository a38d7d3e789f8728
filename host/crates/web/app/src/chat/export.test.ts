import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Content, Message, RenderedPart } from '../api/types';
import { collect, fenced, fileName, markdown, type ExportedChat } from './export';

const info = { id: 's', title: 'A chat', created_at: 0, updated_at: 0, workspace: '/w' };
const message = (id: string, role: Message['role'], content: Content[], more: Partial<Message> = {}) => ({ id, role, created_at: 1, content, ...more });
const words = { you: 'You', agent: 'Answer', thoughts: 'Thoughts', summarized: 'Summarized.' };

describe('a chat as Markdown', () => {
  it('has the steps of an answer below one heading, and each call with what it did', () => {
    const chat: ExportedChat = { session: info, todo: [], changes: [], messages: [
      message('u', 'user', [{ type: 'text', text: 'Do it.' }]),
      message('a', 'assistant', [{ type: 'tool', name: 'bash', state: 'failed', input: '{"command":"ls"}', output: 'a ``` b\n', error: 'Code 3.' }]),
      message('b', 'assistant', [{ type: 'reasoning', text: 'Hm.' }, { type: 'text', text: 'Done.' }, { type: 'other', name: 'x', value: {} }], { error: 'Cut off' }),
    ] };
    expect(markdown(chat, words)).toBe('# A chat\n\n1970-01-01T00:00:00.000Z · `/w`\n\n## You\n\nDo it.\n\n## Answer\n\n**Command** `ls` (failed)\n\n'
      + '````\na ``` b\n````\n\n> Code 3.\n\n> *Thoughts*\n>\n> Hm.\n\nDone.\n\n> Cut off\n');
  });

  it('is named after the chat', () => {
    expect(fileName('Größe: a/b?', 'markdown')).toBe('Größe-a-b.md');
    expect(fileName('///', 'json')).toBe('chat.json');
    expect(fenced('x')).toBe('```\nx\n```');
  });
});

describe('all of a chat', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is asked for page by page, and part by part where only its beginning came', async () => {
    const part = (id: string, of: string, text: string, truncated_bytes?: number) =>
      ({ id, message: of, revision: 1, closed: true, content: { type: 'text', text }, truncated_bytes }) as RenderedPart;
    const asked: string[] = [];
    vi.stubGlobal('fetch', async (url: URL) => {
      const path = url.pathname + url.search;
      asked.push(path);
      const body = path.endsWith('/parts/p1') ? part('p1', 'a', 'the whole')
        : path.includes('/older') ? { messages: [{ message: message('a', 'user', []), parts: [part('p1', 'a', 'the', 6)] }] }
          : { info, messages: [{ message: message('b', 'assistant', []), parts: [part('p2', 'b', 'end')] }], before: 'x/1' };
      return new Response(JSON.stringify(body));
    });
    const chat = await collect('s');
    expect(chat.messages.map(({ id, content }) => [id, content])).toEqual([
      ['a', [{ type: 'text', text: 'the whole' }]], ['b', [{ type: 'text', text: 'end' }]]]);
    expect(asked).toEqual(['/api/v1/sessions/s', '/api/v1/sessions/s/older?before=x%2F1', '/api/v1/sessions/s/parts/p1']);
  });
});
