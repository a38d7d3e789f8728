// Questions that the agent asked, and what was answered.

import type { Tool } from '../api/types';
import { inputOf } from './calls';

export interface AskedQuestion {
  header: string;
  question: string;
  options: { label: string; description: string; chosen: boolean }[];
  /** An answer that is none of the options. */
  own: string | null;
}

interface Raw {
  header?: unknown;
  question?: unknown;
  options?: unknown;
}

const words = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Null: the tool was called with something else. */
export function questionsOf(tool: Pick<Tool, 'input' | 'output'>): AskedQuestion[] | null {
  const list = inputOf(tool)?.['questions'];
  if (!Array.isArray(list) || !list.length) return null;
  const asked: AskedQuestion[] = [];
  for (const one of list as (Raw | null)[]) {
    if (typeof one?.question !== 'string') return null;
    const answer = answerTo(one.question, tool.output ?? '', list.length === 1);
    const given = answer?.split(', ') ?? [];
    const options = (Array.isArray(one.options) ? one.options as { label?: unknown; description?: unknown }[] : []).map((option) => {
      const label = words(option?.label);
      return { label, description: words(option?.description), chosen: answer === label || given.includes(label) };
    });
    const own = answer !== null && !options.some(({ chosen }) => chosen) ? answer : null;
    asked.push({ header: words(one.header), question: one.question, options, own });
  }
  return asked;
}

// As opencode writes it, `"question"="answer"`; another backend may write the answer alone.
function answerTo(question: string, output: string, only: boolean): string | null {
  const mark = `"${question}"="`;
  const at = output.indexOf(mark);
  if (at >= 0) {
    const rest = output.slice(at + mark.length);
    const end = rest.search(/"(?:,|\.|\s*$)/);
    return end < 0 ? rest : rest.slice(0, end);
  }
  const plain = output.trim();
  return only && plain && plain.length < 200 && !plain.includes('\n') ? plain : null;
}
