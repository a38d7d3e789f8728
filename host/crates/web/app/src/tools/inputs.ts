// What a tool was called with, as blocks with a heading. One block for each value, so that a line break is one, and not `\n`.

import type { Tool } from '../api/types';
import { t } from '../i18n/texts.svelte';

export interface Block {
  title: string;
  text: string;
}

export function inputs({ input }: Pick<Tool, 'input'>): Block[] {
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch {
    return some(t('tool.input'), input);
  }
  return values(value);
}

const some = (title: string, text: string | undefined): Block[] => (text ? [{ title, text }] : []);

function values(value: unknown): Block[] {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return some(t('tool.input'), JSON.stringify(value, null, 2));
  return Object.entries(value).flatMap(([name, one]) => some(name, typeof one === 'string' ? one : JSON.stringify(one, null, 2)));
}
