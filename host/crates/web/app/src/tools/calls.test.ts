import { describe, expect, it } from 'vitest';
import type { Tool } from '../api/types';
import { headline, inputOf, isQuiet, kindOf, took } from './calls';
import { hitsOf } from './hits';
import { folded, SHOWN, unwrapped } from './outputs';
import { questionsOf } from './questions';
import { todosOf } from './todos';

const tool = (name: string, input: unknown = {}, more: Partial<Tool> = {}): Tool =>
  ({ name, input: typeof input === 'string' ? input : JSON.stringify(input), state: 'completed', ...more });
const change = { path: 'a', kind: 'modified', added_lines: 1, deleted_lines: 0 } as const;

describe('what a call is', () => {
  it('goes by what is typed before its name', () => {
    expect(kindOf(tool('bash'))).toBe('command');
    expect(kindOf(tool('Apply_Patch'))).toBe('change');
    expect(kindOf(tool('anything', {}, { changes: [change] }))).toBe('change');
    expect(kindOf(tool('anything', {}, { child: 'c' }))).toBe('task');
    expect(kindOf(tool('constructor'))).toBe('other');
  });

  it('is quiet where it only looked', () => {
    expect(isQuiet(tool('read'))).toBe(true);
    expect(isQuiet(tool('grep', {}, { state: 'running' }))).toBe(true);
    expect(isQuiet(tool('read', {}, { state: 'failed' }))).toBe(false);
    expect(isQuiet(tool('read', {}, { attachments: [{ mime: 'image/png', name: null }] }))).toBe(false);
    expect(isQuiet(tool('bash'))).toBe(false);
  });

  it('has a line', () => {
    const line = (one: Tool) => { const { name, subject } = headline(one, '/w'); return `${name} ${subject}`; };
    expect(line(tool('read', { filePath: '/w/src/a.rs', offset: 10, limit: 5 }))).toBe('Read src/a.rs, lines 10 to 14');
    expect(line(tool('grep', { pattern: 'fn main', path: '/w/src' }))).toBe('Search fn main in src');
    expect(line(tool('bash', { command: 'ls\npwd' }))).toBe('Command ls');
    expect(line(tool('edit', '{"filePa', { title: 'a.rs', state: 'pending' }))).toBe('Edit a.rs');
    expect(line(tool('patch', {}, { changes: [change, { ...change, path: 'b' }] }))).toBe('Edit a and 1 more');
    expect(line(tool('weather', { city: 'Graz' }, { title: 'Graz' }))).toBe('weather Graz');
  });

  it('reads its input, and says nothing of one that is not whole', () => {
    expect(inputOf(tool('x', '{"a"'))).toBeNull();
    expect(inputOf(tool('x', '[1]'))).toBeNull();
    expect(took({ started_at: 1000, ended_at: 1500 })).toBeNull();
    expect(took({ started_at: 1000, ended_at: 4000 })).toBe(3000);
  });
});

describe('what was found', () => {
  it('reads files and lines', () => {
    expect(hitsOf('Found 2 matches\n/w/a.rs:\n  Line 2: let x = "y: z";\n  Line 9: end\n', '/w')).toEqual({
      files: [{ path: 'a.rs', lines: [{ line: 2, text: 'let x = "y: z";' }, { line: 9, text: 'end' }] }], notes: ['Found 2 matches'],
    });
    expect(hitsOf('/w/src/notes.md\n/w/README.md', '/w')?.files.map(({ path }) => path)).toEqual(['src/notes.md', 'README.md']);
    expect(hitsOf('src/a.rs:3:fn main() {', '/w')?.files).toEqual([{ path: 'src/a.rs', lines: [{ line: 3, text: 'fn main() {' }] }]);
    expect(hitsOf('No files found', '/w')).toBeNull();
  });
});

describe('outputs', () => {
  it('fold where they are long', () => {
    const lines = Array.from({ length: 100 }, (_, n) => `line ${n}`).join('\n');
    expect(folded(`${lines}\n`, true)).toEqual({ shown: lines.split('\n').slice(-SHOWN).join('\n'), hidden: 100 - SHOWN });
    expect(folded(lines, false).shown.startsWith('line 0\n')).toBe(true);
    expect(folded('a\nb\n', true)).toEqual({ shown: 'a\nb', hidden: 0 });
  });

  it('lose what they are wrapped in', () => {
    expect(unwrapped('<task id="ses_1" state="completed">\n<task_result>\nIt is done.\n</task_result>\n</task>')).toBe('It is done.');
    expect(unwrapped('<path>/w/a</path>\n<type>file</type>\n<content>\n1: a\n</content>')).toBe('1: a');
    expect(unwrapped('plain')).toBe('plain');
  });
});

describe('lists', () => {
  it('are read from the input', () => {
    expect(todosOf(tool('todowrite', { todos: [{ content: 'a', status: 'in_progress' }, { content: 'b', status: 'odd' }] }))).toEqual([
      { text: 'a', state: 'in_progress' }, { text: 'b', state: 'pending' }]);
    expect(todosOf(tool('todowrite', { todos: [1] }))).toBeNull();
    const asked = tool('question', { questions: [{ header: 'Colour', question: 'Which?', options: [{ label: 'Blue', description: 'sea' }, { label: 'Red' }] }] },
      { output: 'User has answered your questions: "Which?"="Blue". You can now continue.' });
    expect(questionsOf(asked)).toEqual([{ header: 'Colour', question: 'Which?', options: [{ label: 'Blue', description: 'sea', chosen: true }, { label: 'Red', description: '', chosen: false }], own: null }]);
    expect(questionsOf(tool('question', { questions: [{ question: 'Which?' }] }, { output: '"Which?"="Something else"' }))?.[0]?.own).toBe('Something else');
  });
});
