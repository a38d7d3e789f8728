// The life of a prompt: kept by this browser until the host has it, then by the host until the backend has it. Each state
// that a message can be in has words here, and what its owner can do about it.

import { el, explained } from './dom.js';

const PREFIX = 'nexus:prompt:', DAYS_7 = 7 * 86_400_000;
// As long as an answer may take to begin before it is said that none came: UNANSWERED in host/crates/model/src/limits.rs.
const PATIENCE = 15_000;

// JSON has no place for half of a surrogate pair, which a cut text can end in.
export const wellFormed = (text) => text.toWellFormed?.()
  ?? Array.from(text, (char) => (/^[\ud800-\udfff]$/.test(char) ? '\ufffd' : char)).join('');

// One entry for each prompt: tabs of one chat do not write over each other's. It outlives the tab.
export const kept = {
  put: (session, { client_id, text }) => {
    try { localStorage.setItem(`${PREFIX}${session}:${client_id}`, JSON.stringify({ text, at: Date.now() })); } catch { /* full or off */ }
  },
  drop: (session, clientId) => {
    try { localStorage.removeItem(`${PREFIX}${session}:${clientId}`); } catch { /* off */ }
  },
  all: (session) => {
    const found = [];
    try {
      for (const key of Object.keys(localStorage).filter((name) => name.startsWith(PREFIX))) {
        const { text, at } = JSON.parse(localStorage.getItem(key));
        if (!(Date.now() - at < DAYS_7)) localStorage.removeItem(key);
        else if (key.startsWith(`${PREFIX}${session}:`)) found.push({ client_id: key.slice(`${PREFIX}${session}:`.length), text, at });
      }
    } catch { /* off, or another's words */ }
    return found.sort((a, b) => a.at - b.at);
  },
};

export const isLocal = ({ id, client_id }) => id === `local-${client_id}`;
// The owner can still take it back.
export const waits = ({ waiting }) => waiting?.type === 'turn' || waiting?.type === 'owner';

const button = (text, onclick, className = '') => el('button', { type: 'button', className, textContent: text, onclick });

// What stands below a message that waits: `send` and `remove` are what its owner can do.
export function waitingLine({ waiting }, { send, remove }) {
  if (waiting?.type === 'turn') {
    return el('p', { className: 'mark row' }, 'Queued until the current answer is finished. ', button('Send now', send), button('Withdraw', remove));
  }
  if (waiting?.type === 'owner') {
    return el('div', { className: 'alert warning' }, el('p', { textContent: `Not sent. ${explained(waiting)}` }),
      el('div', { className: 'row' }, button('Send now', send, 'primary'), button('Remove', remove)));
  }
  return null;
}

// What to do about an error, by the backend's or the provider's words.
const ADVICE = [
  [/model not found|unknown model|no such model/i, 'To fix: set a model that exists in the backend\'s configuration (for opencode: `model` in opencode.json), then send the message again.'],
  [/api key|unauthori[sz]ed|authentication|\b401\b/i, 'To fix: sign in to the model\'s provider again on the machine that runs Nexus (for opencode: `opencode auth login`), then send the message again.'],
  [/\b402\b|quota|credit|billing|payment/i, 'To fix: check your account with the model\'s provider, then send the message again.'],
  [/\b413\b|too (long|large)|context (length|window)|maximum context/i, 'To fix: start a new chat or send a shorter message.'],
];
export const advice = (text) => (/to fix:/i.test(text) ? null : ADVICE.find(([pattern]) => pattern.test(text))?.[1] ?? null);
export const trouble = (text) => el('div', { className: 'alert' }, el('p', { textContent: text }),
  advice(text) ? el('p', { textContent: advice(text) }) : null);

// What is seen below the last message while its answer has not begun. `last`: that message; `ago`: how long it is there.
// `again(text)`: sends a text once more; `later(ms)`: when to look again.
export function unanswered({ last, ago, title, up, again, later }) {
  const spinner = el('span', { className: 'spinner', 'aria-hidden': 'true' });
  if (!up) return el('p', { className: 'working' }, spinner, `Waiting for ${title} to reconnect`);
  if (last.waiting?.type === 'backend' || ago < PATIENCE) {
    later(Math.max(1000, PATIENCE - ago));
    return el('p', { className: 'working' }, spinner, `Waiting for ${title}`);
  }
  return el('div', { className: 'alert warning' }, el('p', { textContent: `${title} did not answer this message.` }),
    again ? el('div', { className: 'row' }, button('Send again', again, 'primary')) : null);
}
