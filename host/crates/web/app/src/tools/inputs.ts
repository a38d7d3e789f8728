// What a tool was called with, as blocks with a heading. One block for each value, so that a line break is one, and not `\n`.

import type { Tool } from '../api/types';
import { t } from '../i18n/texts.svelte';

export interface Block {
  title: string;
  text: string;
}

export function inputs({ name, input }: Pick<Tool, 'name' | 'input'>): Block[] {
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch {
    return some(t('tool.input'), input);
  }
  if (name === 'question') return questions(value) ?? values(value);
  return values(value);
}

const some = (title: string, text: string | undefined): Block[] => (text ? [{ title, text }] : []);

function values(value: unknown): Block[] {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return some(t('tool.input'), JSON.stringify(value, null, 2));
  return Object.entries(value).flatMap(([name, one]) => some(name, typeof one === 'string' ? one : JSON.stringify(one, null, 2)));
}

interface Asked {
  header?: string;
  question: string;
  options?: { label: string; description?: string }[];
}

// What a question tool was called with: the questions as they were asked. Null: it has another shape.
function questions(value: unknown): Block[] | null {
  const list = (value as { questions?: Asked[] } | null)?.questions;
  if (!Array.isArray(list) || !list.every((one) => typeof one?.question === 'string')) return null;
  return list.map(({ header, question, options }, n) => ({
    title: header || (list.length > 1 ? `${t('tool.question')} ${n + 1}` : t('tool.question')),
    text: [question, ...(options ?? []).map(({ label, description }) => `• ${label}${description ? `: ${description}` : ''}`)].join('\n'),
  }));
}
