import { describe, expect, it } from 'vitest';
import { Sentences } from './sentences';

describe('what a screen reader reads while an answer comes', () => {
  it('is whole sentences, each once', () => {
    const all = new Sentences('Code.');
    const taken: string[] = [];
    const whole = 'Version 1.5 is **out**. It has [links](https://x.example/a.b). And an end';
    for (let n = 1; n <= whole.length; n++) taken.push(all.take(whole.slice(0, n)));
    taken.push(all.take(whole, true));
    expect(taken.filter(Boolean)).toEqual(['Version 1.5 is out.', 'It has links.', 'And an end']);
    expect(all.take(whole, true)).toBe('');
  });

  it('has no code and no marks in it', () => {
    const all = new Sentences('Code.');
    expect(all.take('## Title\n\n- one\n- two\n\n```sh\nls. pwd\n')).toBe('Title\none\ntwo\nCode.');
    expect(all.take('## Title\n\n- one\n- two\n\n```sh\nls. pwd\nrm. x\n```\nDone. ')).toBe('Done.');
  });
});
