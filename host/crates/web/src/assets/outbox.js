// What the user has sent and the backend does not have yet: a bubble for each prompt below the messages, until the message
// itself takes its place. prompts.js has what outlives the tab, and the words.

import { $, el, explained, uuid } from './dom.js';
import { careful } from './guard.js';
import { kept } from './prompts.js';

function bubble(item) {
  item.line = el('p', { className: 'mark', textContent: item.admitted ? '' : 'Sending…' });
  return el('article', { className: 'message user sending' }, el('h2', { className: 'vh', textContent: 'You' }),
    el('div', { className: 'body' }, el('div', { className: 'text open', dir: 'auto', textContent: item.text })), item.line);
}

// `session()`, `send(frame)`: whether it went; `isShown(item)`: the message itself is shown; `changed()`: to draw
// the tail again; `tell(text)`; `restore(text)`: gives a text back to who wrote it.
export class Outbox {
  items = [];
  // One after the other: a text never changes under the pointer of who agrees to it.
  #consents = [];
  #agreeing = careful($('consent').querySelector('[value=yes]'));
  #page;

  constructor(page) { this.#page = page; }

  // What this browser has kept of a chat.
  resume() {
    const session = this.#page.session();
    this.items = session ? kept.all(session).map((item) => ({ ...item, tries: 0 })) : [];
  }

  // Puts those whose message is not there yet at the end of the node.
  draw(tail) {
    // One that was taken and is shown is a message of the chat from now on: where it is taken back, nothing of it comes again.
    const done = this.items.filter((item) => item.admitted && this.#page.isShown(item));
    for (const item of done) item.node?.remove();
    this.items = this.items.filter((item) => !done.includes(item));
    for (const item of this.items) {
      item.node ??= bubble(item);
      if (this.#page.isShown(item)) item.node.remove(); else tail.append(item.node);
    }
  }

  prompt(text) {
    const item = { client_id: uuid(), text, tries: 0 };
    kept.put(this.#page.session(), item);
    this.#add(item);
  }

  // What waits is sent at once, whatever runs.
  now(client_id, text) { this.#add({ client_id, text, tries: 0, now: true }); }

  #add(item) {
    this.items.push(item);
    this.#page.changed();
    this.transmit(item);
  }

  transmit(item) {
    const { client_id, text, consent, now } = item;
    if (!this.#page.send({ type: 'prompt', session: this.#page.session(), client_id, text, consent: consent ?? null, now: now ?? false })) {
      item.line.textContent = 'Not connected. The message will be sent when the connection is restored.';
    }
  }

  forget(item) {
    clearTimeout(item.timer);
    item.node?.remove();
    this.items = this.items.filter((other) => other !== item);
    kept.drop(this.#page.session(), item.client_id);
    this.#page.changed();
  }

  // A message of the user arrived: it takes the place of its bubble.
  settle(clientId) {
    const item = clientId ? this.#of(clientId) : this.items.find((one) => one.admitted);
    if (item) this.forget(item);
  }

  giveBack(item, reason, calm = false) {
    this.forget(item);
    // One that the host keeps stays where it is.
    if (!item.now) this.#page.restore(item.text);
    this.#page.tell(reason, calm);
  }

  #of(clientId) { return this.items.find((item) => item.client_id === clientId); }

  #nextConsent() {
    const dialog = $('consent'), [{ item, frame }] = this.#consents;
    $('consent-text').textContent = frame.text;
    dialog.returnValue = '';
    dialog.onclose = () => {
      const agreed = dialog.returnValue === 'yes';
      this.#consents.shift();
      if (this.#consents.length) this.#nextConsent();
      if (!agreed) return this.giveBack(item, 'Not sent.', true);
      item.consent = frame.consent;
      this.transmit(item);
    };
    this.#agreeing.restart();
    dialog.showModal();
  }

  // What the host says about a prompt.
  frames = {
    admitted: ({ client_id }) => {
      const item = this.#of(client_id);
      if (!item) return;
      if (this.#page.isShown(item)) { this.forget(item); return this.#page.tell(null); }
      item.admitted = true;
      item.line.textContent = '';
      kept.drop(this.#page.session(), client_id);
      if (item.now) this.forget(item);
      this.#page.tell(null);
    },
    refused: (frame) => { const item = this.#of(frame.client_id); if (item) this.giveBack(item, explained(frame)); },
    deferred: (frame) => {
      const item = this.#of(frame.client_id);
      if (!item) return;
      const wait = Math.min(15_000, 1000 * 2 ** item.tries++);
      const give = el('button', { type: 'button', className: 'plain', textContent: 'Do not send' });
      give.onclick = () => this.giveBack(item, 'Withdrawn. The backend may have received it already.', true);
      item.line.replaceChildren(`Not sent yet: ${explained(frame)} Retrying. `, give);
      clearTimeout(item.timer);
      item.timer = setTimeout(() => this.transmit(item), wait);
    },
    consent: (frame) => {
      const item = this.#of(frame.client_id);
      if (item && this.#consents.push({ item, frame }) === 1) this.#nextConsent();
    },
  };
}
