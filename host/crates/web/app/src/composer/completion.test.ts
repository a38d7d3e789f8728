import { describe, expect, it } from 'vitest';
import { commandOf, completed, filesOf, matching, tokenAt } from './completion';

describe('completion', () => {
  it('is of a command at the beginning only', () => {
    expect(tokenAt('/un', 3)).toEqual({ kind: 'command', words: 'un', from: 0, to: 3 });
    expect(tokenAt('a /un', 5)).toBeNull();
    expect(tokenAt('/undo now', 9)).toBeNull();
    expect(tokenAt('/usr/bin', 8)).toBeNull();
  });

  it('is of a file behind a blank, and not of an address', () => {
    expect(tokenAt('look at @src/m', 14)).toEqual({ kind: 'file', words: 'src/m', from: 8, to: 14 });
    expect(tokenAt('me@example', 10)).toBeNull();
    expect(tokenAt('@', 1)).toMatchObject({ kind: 'file', words: '' });
  });

  it('replaces what was written', () => {
    const text = 'look at @ma and say';
    const token = tokenAt(text, 11);
    expect(token && completed(text, token, 'src/main.rs')).toEqual({ text: 'look at @src/main.rs and say', caret: 21 });
  });

  it('calls commands that there are', () => {
    expect(commandOf('/review the last\ncommit', ['review'])).toEqual({ name: 'review', arguments: 'the last\ncommit' });
    expect(commandOf('/review', ['review'])).toEqual({ name: 'review', arguments: '' });
    expect(commandOf('/other', ['review'])).toBeNull();
    expect(commandOf('not /review', ['review'])).toBeNull();
  });

  it('points at the files that are still named', () => {
    expect(filesOf('see @a.rs and b.rs', ['a.rs', 'b.rs'])).toEqual(['a.rs']);
  });

  it('finds by letters in order, the best first', () => {
    expect(matching(['compact', 'undo', 'fork-undo', 'xuxnxdxo'], (name) => name, 'undo')).toEqual(['undo', 'fork-undo', 'xuxnxdxo']);
  });
});
