// The card of an ask: what the agent wants, and the buttons that answer it.

import { el } from './dom.js';

// `leave` takes the focus away from the card; `reply(answer, failed)` sends the answer.
export function askCard(data, session, leave, reply) {
  const head = `ask-${data.id}`;
  const card = el('section', { className: 'card ask', role: 'group', 'aria-labelledby': head },
    el('h2', { id: head, textContent: data.permission ? `May the agent use ${data.subject}?` : `The agent asks: ${data.subject}` }),
    data.asked_by !== session ? el('p', { className: 'meta', textContent: 'A sub-agent asks.' }) : null,
    data.message ? el('p', { textContent: data.message }) : null,
    data.detail ? el('pre', { tabIndex: 0 }, el('code', { textContent: data.detail })) : null);
  if (data.permission) {
    const words = el('input', { type: 'text', id: head + '-words', placeholder: 'Optional: what to do instead' });
    const line = el('p', { className: 'help', role: 'status' });
    const buttons = [];
    const button = (text, className, answer, more) => {
      const node = el('button', { type: 'button', className, textContent: text, ...more });
      node.onclick = () => {
        // The focus would fall off a button that is switched off.
        if (card.contains(document.activeElement)) leave();
        buttons.forEach((other) => { other.disabled = true; });
        line.textContent = 'Sent…';
        reply(answer(), (reason) => {
          buttons.forEach((other) => { other.disabled = false; });
          line.textContent = reason ?? 'Not sent.';
        });
      };
      buttons.push(node);
      return node;
    };
    const once = button('Allow once', 'primary', () => ({ type: 'once' }));
    const always = data.always.length
      ? button('Always allow', '', () => ({ type: 'always' }), { 'aria-describedby': head + '-always' }) : null;
    const reject = button('Reject', 'bad', () => ({ type: 'reject', message: words.value.trim() || null }));
    card.append(el('div', { className: 'row' }, once, always, reject));
    if (always) {
      card.append(el('p', { className: 'help', id: head + '-always' }, 'Always allow means from now on: ',
        ...data.always.flatMap((pattern, n) => [n ? ', ' : '', el('code', { textContent: pattern })])));
    }
    card.append(el('div', { className: 'field' },
      el('label', { htmlFor: words.id, textContent: 'Words for the agent, with a rejection' }), words), line);
  } else {
    card.append(el('p', { className: 'help', textContent: 'This can only be answered in the backend\'s own client.' }));
  }
  return card;
}
