// What a call of a tool is: its kind, its input, and its line in the chat. The names of tools are hints; what is typed (changes,
// a sub-agent, a title) counts first.

import type { Tool } from '../api/types';
import { t } from '../i18n/texts.svelte';

export type CallKind = 'command' | 'change' | 'read' | 'search' | 'todo' | 'task' | 'fetch' | 'websearch' | 'question' | 'other';

// Names that opencode, other agents and the agent client protocol use.
const KINDS: Record<string, CallKind> = {
  bash: 'command', shell: 'command', execute: 'command', terminal: 'command',
  edit: 'change', write: 'change', patch: 'change', applypatch: 'change', multiedit: 'change', delete: 'change', move: 'change',
  read: 'read', grep: 'search', glob: 'search', list: 'search', ls: 'search', search: 'search', codesearch: 'search', find: 'search',
  todowrite: 'todo', todoread: 'todo', updateplan: 'todo',
  task: 'task', agent: 'task',
  webfetch: 'fetch', fetch: 'fetch', websearch: 'websearch',
  question: 'question', askuserquestion: 'question',
};

type Call = Pick<Tool, 'name' | 'input' | 'state'> & Partial<Tool>;

export function kindOf(tool: Call): CallKind {
  if (tool.child) return 'task';
  if (tool.changes?.length) return 'change';
  const name = tool.name.toLowerCase().replace(/[^a-z]/g, '');
  return Object.hasOwn(KINDS, name) ? KINDS[name] as CallKind : 'other';
}

/** Whether a call only looked at something, and nothing of it needs anybody's attention: several of them fold to one line. */
export function isQuiet(tool: Call): boolean {
  const kind = kindOf(tool);
  return (kind === 'read' || kind === 'search') && tool.state !== 'failed' && tool.state !== 'rejected' && !tool.attachments?.length;
}

export type Input = Readonly<Record<string, unknown>>;

/** What a tool was called with. Null: it is no object, or not complete. */
export function inputOf({ input }: Pick<Tool, 'input'>): Input | null {
  try {
    const value: unknown = JSON.parse(input);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? value as Input : null;
  } catch {
    return null;
  }
}

/** The first of these that is a text. */
export function text(input: Input | null, ...names: string[]): string {
  for (const name of names) {
    const value = input?.[name];
    if (typeof value === 'string' && value) return value;
  }
  return '';
}

const number = (input: Input | null, name: string): number | null => (typeof input?.[name] === 'number' ? input[name] : null);

/** A file of the project folder is named without it. */
export const inside = (path: string, folder: string): string =>
  (folder && path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path);

export interface Headline {
  /** What was done. */
  name: string;
  /** What it was done to, to the letter. */
  subject: string;
}

const TITLES = {
  command: 'call.command', read: 'call.read', search: 'call.search', todo: 'call.todo', task: 'call.task', fetch: 'call.fetch',
  websearch: 'call.websearch', question: 'call.question',
} as const;

const firstLine = (words: string): string => words.trim().split('\n', 1)[0] ?? '';

/** One line that says what the call is. `folder`: the project folder. */
export function headline(tool: Call, folder: string): Headline {
  const kind = kindOf(tool);
  const input = inputOf(tool);
  const title = tool.title ?? '';
  if (kind === 'other') return { name: tool.name, subject: title };
  if (kind === 'change') {
    const [first, ...more] = tool.changes ?? [];
    const name = first ? t(`call.${first.kind}`) : t('call.change');
    const subject = inside(first?.path ?? (text(input, 'filePath', 'file_path', 'path') || title), folder);
    return { name, subject: more.length ? t('call.andMore', subject, more.length) : subject };
  }
  return { name: t(TITLES[kind]), subject: subject(kind, input, folder) || title };
}

function subject(kind: Exclude<CallKind, 'other' | 'change'>, input: Input | null, folder: string): string {
  switch (kind) {
    case 'command': return firstLine(text(input, 'command'));
    case 'read': {
      const file = inside(text(input, 'filePath', 'file_path', 'path'), folder);
      const from = number(input, 'offset'), count = number(input, 'limit');
      if (!file || from === null) return file;
      return t('call.lines', file, from, count === null ? null : from + count - 1);
    }
    case 'search': {
      const what = text(input, 'pattern', 'query');
      const where = inside(text(input, 'path'), folder);
      return what && where && where !== folder && where !== '.' ? t('call.in', what, where) : what || where;
    }
    case 'task': return text(input, 'description', 'title');
    case 'fetch': return text(input, 'url');
    case 'websearch': return text(input, 'query');
    case 'question': case 'todo': return '';
  }
}

/** How long a call took, in milliseconds; null: it is not known, or too short to be worth a word. */
export function took({ started_at, ended_at }: Partial<Tool>): number | null {
  const ms = started_at === undefined || ended_at === undefined ? 0 : ended_at - started_at;
  return ms >= 1000 ? ms : null;
}
