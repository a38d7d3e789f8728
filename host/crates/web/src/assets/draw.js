// The parts of a message: text, reasoning, tool calls, attachments, and what has no picture of its own.

import { el, literal, setHtml } from './dom.js';

// What is a line of the chat, and nobody's words.
export const isNote = ({ content }) => content.type === 'compacted';

// Whether a part is seen at all: what only the backend knows is not.
export const isSeen = ({ content }) => content.type !== 'other';

export function shell(kind) {
  if (kind === 'reasoning') {
    const word = el('span'), text = el('div', { className: 'text' });
    return { node: el('details', { className: 'reasoning' }, el('summary', {}, word), text), word, text };
  }
  if (kind === 'tool') {
    const dot = el('span', { className: 'dot', 'aria-hidden': 'true' }), name = el('span', { className: 'tool-name' });
    const what = el('span', { className: 'tool-title' }), state = el('span', { className: 'tool-state' });
    const inside = el('div', { className: 'tool-body' });
    const node = el('details', { className: 'tool' }, el('summary', {}, dot, name, what, state), inside);
    return { node, name, what, state, inside };
  }
  if (kind === 'compacted') return { node: el('p', { className: 'mark center', textContent: 'The chat was summarized to free up context.' }) };
  if (kind === 'other') return { node: el('p', { hidden: true }) };
  const text = el('div', { className: 'text', dir: 'auto' });
  return { node: text, text };
}

export function drawText(part, html) {
  if (html !== undefined) {
    part.text.className = 'text md';
    part.tail = null;
    return setHtml(part.text, html);
  }
  part.text.className = 'text open';
  part.tail = document.createTextNode(part.data.content.text);
  part.text.replaceChildren(part.tail);
}

const STATES = { pending: 'waiting', running: 'running', completed: 'done', failed: 'failed', rejected: 'rejected' };

const block = (title, text) => text
  ? [el('h3', { textContent: title }), el('pre', { tabIndex: 0 }, literal(el('code', { className: 'literal' }), text))] : [];

// One block for each value, so that a line break is one, and not `\n`.
function input(json) {
  let value;
  try { value = JSON.parse(json); } catch { return block('Input', json); }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return block('Input', JSON.stringify(value, null, 2));
  return Object.entries(value).flatMap(([name, one]) => block(name, typeof one === 'string' ? one : JSON.stringify(one, null, 2)));
}

// What a question tool was called with: the questions as they were asked.
function questions(json) {
  try {
    return JSON.parse(json).questions.flatMap(({ question, header, options }) => block(header || 'Question',
      [question, ...(options ?? []).map(({ label, description }) => `• ${label}${description ? `: ${description}` : ''}`)].join('\n')));
  } catch { return input(json); }
}

// "12 bytes", "3 KiB", "1.5 MiB".
function bytes(size) {
  if (size < 1024) return size === 1 ? '1 byte' : `${size} bytes`;
  if (size < 1024 * 1024) return `${Math.ceil(size / 1024)} KiB`;
  return `${(size / 1024 / 1024).toFixed(1)} MiB`;
}

// `asked(part)`: a request of this call waits for the owner.
export const draw = {
  text: drawText,
  reasoning(part, html) {
    part.word.textContent = part.data.closed ? 'Thoughts' : 'Thinking…';
    drawText(part, html);
  },
  tool(part, _, asked) {
    const tool = part.data.content;
    part.node.dataset.state = tool.state;
    part.name.textContent = tool.name;
    part.what.replaceChildren();
    literal(part.what, tool.title ?? '');
    part.state.textContent = tool.state === 'running' && asked(part.data.id) ? 'needs your answer' : STATES[tool.state] ?? tool.state;
    part.inside.replaceChildren(...(tool.name === 'question' ? questions : input)(tool.input), ...block('Output', tool.output),
      ...block(tool.state === 'rejected' ? 'Your answer' : 'Error', tool.error));
  },
  attachment(part) {
    const { name, mime, size } = part.data.content;
    const words = [name, mime, size === undefined ? null : bytes(size)].filter(Boolean).join(' · ');
    part.text.replaceChildren(literal(el('span', { className: 'mark' }), words || 'A file'));
  },
};

const UNITS = [['day', 86_400], ['hour', 3600], ['minute', 60]];

// "in 5 s", "in 3 minutes", "in 16 days".
export function until(ms) {
  const s = Math.ceil(ms / 1000);
  if (s <= 0) return 'now';
  if (s < 120) return `in ${s} s`;
  const [unit, size] = UNITS.find(([, size]) => s >= 2 * size) ?? UNITS.at(-1);
  return `in ${Math.round(s / size)} ${unit}s`;
}
