// The answers to the agent's questions, as they are chosen.

import type { Question } from '../api/types';

export interface Choosing {
  /** The labels that are chosen, in the order of the question. */
  chosen: string[];
  /** Whether the own answer counts. */
  own: boolean;
  words: string;
}

export const nothingChosen = (questions: readonly Question[]): Choosing[] =>
  questions.map(() => ({ chosen: [], own: false, words: '' }));

/** One list for each question; an empty one is a question that is not answered. */
export function answers(questions: readonly Question[], choosing: readonly Choosing[]): string[][] {
  return questions.map(({ choices }, n) => {
    const { chosen = [], own = false, words = '' } = choosing[n] ?? {};
    const list = choices.map(({ label }) => label).filter((label) => chosen.includes(label));
    const text = words.trim();
    return text && (own || !choices.length) ? [...list, text] : list;
  });
}
