import { describe, expect, it } from 'vitest';
import type { Question } from '../api/types';
import { answers, nothingChosen } from './answers';

const question = (more: Partial<Question> = {}): Question => ({
  header: '', text: 'Which?', multiple: false, allow_custom: true, choices: [{ label: 'Red', description: '' }, { label: 'Blue', description: '' }], ...more,
});

describe('answers to questions', () => {
  it('are in the order of the question, an own one last', () => {
    const asked = [question({ multiple: true })];
    expect(answers(asked, [{ chosen: ['Blue', 'Red'], own: true, words: ' Green ' }])).toEqual([['Red', 'Blue', 'Green']]);
    expect(answers(asked, [{ chosen: ['Blue'], own: false, words: 'Green' }])).toEqual([['Blue']]);
  });

  it('are nothing where nothing was chosen', () => {
    expect(answers([question(), question({ choices: [] })], nothingChosen([question(), question()]))).toEqual([[], []]);
  });

  it('need no tick where only words are possible', () => {
    expect(answers([question({ choices: [] })], [{ chosen: [], own: false, words: 'words' }])).toEqual([['words']]);
  });
});
