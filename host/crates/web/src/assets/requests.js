// What waits for the owner: one request at a time, in the dock above the composer.
//
// What is approved is what was read: the request stands with its beginning in sight; what is longer than its box must have
// been scrolled to its end before it can be allowed; nothing can be pressed in the moment it appears or after it moved
// (guard.js); an answer goes to the one request that is shown, by its id, and once.

import { changes } from './change.js';
import { el, literal, code } from './dom.js';
import { Settling, press } from './guard.js';

// How a permission is called, and what `*` covers.
const PERMISSIONS = {
  bash: ['run a command', 'every command'],
  edit: ['edit a file', 'every file edit in the workspace'],
  external_directory: ['access files outside the workspace', 'every path outside the workspace'],
  read: ['read a file', 'every file read'],
  list: ['list a folder', 'every folder listing'],
  glob: ['search for files', 'every file search'],
  grep: ['search in files', 'every search in file contents'],
  webfetch: ['open a web page', 'every web page'],
  websearch: ['search the web', 'every web search'],
  task: ['start a sub-agent', 'every sub-agent'],
  skill: ['use a skill', 'every skill'],
  doom_loop: ['continue although it repeats itself', 'every repetition'],
};
export const permission = (name) => (Object.hasOwn(PERMISSIONS, name) ? PERMISSIONS[name] : [`use ${name}`, `every use of ${name}`]);

// The end of a text that had to be cut, or of one that says what is not known.
const CUT = /⟨[^⟨⟩]* not shown here⟩\s*$/;

const isQuestion = (data) => !data.permission && data.questions?.length > 0;

export class Dock {
  // `answer(id, answer, failed)` sends; `home()` takes the focus when the dock is gone; `changed()` after each change.
  constructor({ app, place, session, answer, home, changed }) {
    Object.assign(this, { app, place, session, answer, home, changed });
    this.requests = new Map();
    this.shown = null;
    // Whatever makes the box smaller or its text longer, less of it is in sight.
    this.sizes = new ResizeObserver(() => this.card?.draw());
  }

  get size() { return this.requests.size; }
  waits(part) { return [...this.requests.values()].some((data) => part && data.part === part); }
  first() { return this.requests.values().next().value; }

  put(data) {
    this.requests.set(data.id, data);
    this.redraw();
  }

  close(id) {
    this.requests.delete(id);
    this.redraw();
  }

  // All there are. What is shown and did not change stays as it is.
  sync(list) {
    this.requests = new Map(list.map((data) => [data.id, data]));
    this.redraw();
    this.card?.again();
  }

  // A press that closes what lies over it is not for what lies under it.
  covered() { return this.app.classList.contains('side-shown') || !!document.querySelector('dialog[open], .menu[open]'); }

  redraw() {
    const next = this.first(), text = next && JSON.stringify(next);
    if (text !== this.shown) {
      const focused = this.place.contains(document.activeElement);
      this.card?.end();
      this.sizes.disconnect();
      this.shown = text;
      this.card = next ? new Card(this, next) : null;
      this.place.replaceChildren(...(next ? [this.card.node] : []));
      this.app.classList.toggle('has-request', !!next);
      if (next) {
        this.sizes.observe(this.card.read);
        for (const child of this.card.read.children) this.sizes.observe(child);
        this.card.start();
      }
      if (focused) this.leave();
    }
    this.card?.others(this.size - 1);
    this.changed();
  }

  // The focus would leave a button that is switched off.
  leave() {
    if (!this.card || this.home.visible()) this.home();
    else this.card.read.focus({ preventScroll: true });
  }
}

class Card {
  constructor(dock, data) {
    Object.assign(this, { dock, data, seen: false, sent: false, wrong: null, rejecting: false });
    const question = isQuestion(data);
    const details = data.details ?? [];
    const files = data.changes ?? [];
    this.cut = [data.detail, ...files.map(({ diff }) => diff), ...details.map(({ text }) => text)].some((text) => CUT.test(text ?? ''));
    const [name] = permission(data.subject);
    const title = question ? (data.questions.length > 1 ? `The agent asks ${data.questions.length} questions` : 'The agent asks')
      : data.permission ? `Allow the agent to ${name}?` : `The agent asks: ${data.subject}`;
    const head = el('h2', { id: 'request-head' });
    literal(head, title);
    this.more = el('p', { className: 'meta', hidden: true });
    this.read = el('div', { className: 'request-read', tabIndex: 0, role: 'region', 'aria-label': 'Request' },
      el('div', { className: 'request-head' }, head, this.more),
      data.requested_by !== dock.session() ? el('p', { className: 'meta', textContent: 'Requested by a sub-agent.' }) : null);
    // What is done comes first, and then what is said of it.
    const words = data.message ? literal(el('p', { className: 'lines', dir: 'auto' }, data.permission ? 'Note: ' : ''), data.message) : null;
    if (question) this.questions(words);
    else this.read.append(...[
      data.detail ? el('pre', {}, code(data.detail)) : null,
      details.length ? el('dl', { className: 'details' }, ...details.map(({ name, text }) => el('div', {}, literal(el('dt'), name), el('dd', {}, code(text))))) : null,
      files.length ? changes(files, dock.app.dataset.workspace) : null,
      words,
      data.permission && data.always.length ? this.covers() : null].filter(Boolean));
    this.end_ = el('div', { className: 'request-end', 'aria-hidden': 'true' });
    this.read.append(this.end_);
    this.line = el('p', { className: 'help why', role: 'status' });
    this.row = el('div', { className: 'row' });
    this.node = el('section', { className: 'request', role: 'group', 'aria-labelledby': head.id }, this.read, this.line, this.row);
    this.buttons(question);
    this.read.addEventListener('scroll', () => this.draw(), { passive: true });
    this.node.addEventListener('focusout', () => setTimeout(() => this.draw()));
  }

  // Once it is on the page.
  start() {
    this.settling = new Settling(() => (this.dock.covered() ? null : this.row), () => this.draw());
    // The end counts as seen where the window shows it, whatever box cuts it off.
    this.watch = new IntersectionObserver(([{ isIntersecting }]) => {
      if (isIntersecting && this.read.clientHeight > 0) this.seen = true;
      this.draw();
    }, { threshold: 0.5 });
    this.watch.observe(this.end_);
    this.read.scrollTop = 0;
    this.draw();
  }

  end() {
    this.settling?.stop();
    this.watch?.disconnect();
  }

  others(count) {
    this.more.hidden = !count;
    this.more.textContent = `${count} more waiting`;
  }

  covers() {
    const { subject, always } = this.data, [, every] = permission(subject);
    const line = el('p', { className: 'help', id: 'request-always' }, '“Always allow” applies to all chats in this project folder from now on and covers: ');
    always.forEach((pattern, n) => line.append(n ? ', ' : '', pattern === '*' ? literal(el('strong'), every) : code(pattern)));
    return line;
  }

  buttons(question) {
    const { permission, always } = this.data;
    // What agrees needs that everything was seen; what refuses does not.
    const make = (text, className, needs, answer, more) => {
      const node = el('button', { type: 'button', className, textContent: text, ...more });
      node.needs = needs;
      return press(node, (click) => this.act(node, click, answer));
    };
    if (question) {
      this.row.append(
        make('Answer', 'primary', () => this.unanswered(), () => ({ type: 'answers', answers: this.answers() })),
        make('Dismiss', 'bad', null, () => ({ type: 'reject', message: null })));
      return;
    }
    if (permission) {
      const unread = () => this.unread();
      this.row.append(make('Allow once', 'primary', unread, () => ({ type: 'once' })));
      if (always.length) this.row.append(make('Always allow', '', unread, () => ({ type: 'always' }), { 'aria-describedby': 'request-always' }));
    }
    const open = el('button', { type: 'button', className: 'bad', textContent: 'Reject…' });
    this.row.append(press(open, (click) => this.may(open, click) && this.reject()));
  }

  // In the place of the buttons: what to say with the rejection.
  reject() {
    const words = el('input', { type: 'text', id: 'request-words', dir: 'auto', autocomplete: 'off', placeholder: 'Optional' });
    const buttons = [...this.row.children];
    const no = el('button', { type: 'button', className: 'bad', textContent: 'Reject' });
    const back = el('button', { type: 'button', textContent: 'Back' });
    const act = (event) => this.act(no, event, () => ({ type: 'reject', message: words.value.trim() || null }));
    press(no, act);
    press(back, () => { this.swap(...buttons); buttons.at(-1).focus(); });
    words.onkeydown = (event) => {
      if (event.key !== 'Enter' || event.isComposing || event.keyCode === 229) return;
      // Else the composer, which has the focus by then, gets a line of it.
      event.preventDefault();
      if (!event.repeat) act(event);
    };
    this.swap(el('label', { htmlFor: words.id, textContent: 'What should it do instead?' }), words, no, back);
    words.focus();
  }

  // The row has another height by that, and what it holds lies elsewhere: it says so at once, and not when a press of a
  // button that seemed to work has been in vain.
  swap(...nodes) {
    this.row.replaceChildren(...nodes);
    this.settling.look();
    this.draw();
  }

  may(button, event) {
    return !this.sent && !button.disabled && !button.needs?.() && this.settling.allows(event);
  }

  act(button, event, answer) {
    if (!this.may(button, event)) return this.draw();
    this.sent = true;
    this.wrong = null;
    if (this.node.contains(document.activeElement)) this.dock.leave();
    this.draw();
    this.dock.answer(this.data.id, answer(), (cause) => {
      this.sent = false;
      this.wrong = cause ?? 'Not sent.';
      this.draw();
    });
  }

  // It was answered, and waits all the same.
  again() {
    if (!this.sent) return;
    this.sent = false;
    this.wrong = 'Your answer was sent, but the request is still open.';
    this.settling.restart();
    this.draw();
  }

  // What keeps it from being allowed.
  unread() {
    const { read } = this;
    if (this.cut) return 'This request is too long to be shown in full, so it cannot be allowed here.';
    if (this.seen) return null;
    const block = read.querySelector('pre') ?? read;
    const left = Math.max(1, Math.ceil((read.scrollHeight - read.scrollTop - read.clientHeight) / parseFloat(getComputedStyle(block).lineHeight)));
    return `${left} more ${left === 1 ? 'line' : 'lines'} below: scroll to the end to allow this.`;
  }

  draw() {
    if (!this.settling) return;
    const { settled, moved } = this.settling;
    const unready = [...this.row.querySelectorAll('button')].map((button) => {
      const why = button.needs?.() ?? null;
      // To take the focus away from who uses the keyboard would be worse.
      const keep = moved && button.matches(':focus-visible');
      button.disabled = this.sent || !!why || !(settled || keep);
      return why;
    }).find(Boolean);
    const soon = settled ? '' : moved ? 'The request just moved. The buttons work again in a moment.' : 'Please read the request. The buttons work in a moment.';
    const text = this.sent ? 'Sent…' : this.wrong ?? unready ?? soon;
    if (this.line.textContent !== text) this.line.textContent = text;
    this.node.classList.toggle('more', this.read.scrollHeight - this.read.scrollTop - this.read.clientHeight > 2);
  }

  // ---- questions -----------------------------------------------------------------------------------------------

  questions(words) {
    if (words) this.read.append(words);
    this.fields = this.data.questions.map((question, n) => {
      const type = question.multiple ? 'checkbox' : 'radio', name = `request-${n}`;
      const box = el('fieldset', {}, el('legend', { dir: 'auto' },
        question.header ? literal(el('span', { className: 'meta' }), question.header) : null,
        literal(el('span', { className: 'lines' }), question.text)));
      const choices = (question.choices ?? []).map(({ label, description }) => {
        const input = el('input', { type, name });
        box.append(el('label', { className: 'choice', dir: 'auto' }, input, el('span', {}, literal(el('span'), label),
          description ? literal(el('span', { className: 'help' }), description) : null)));
        return { input, label };
      });
      let own = null;
      if (question.allow_custom || !choices.length) {
        const input = choices.length ? el('input', { type, name, 'aria-label': 'Your own answer' }) : null;
        const words = el('input', { type: 'text', dir: 'auto', autocomplete: 'off', placeholder: 'Your own answer', 'aria-label': 'Your own answer' });
        words.oninput = () => { if (input) input.checked = words.value.trim() !== ''; };
        if (input) input.onchange = () => { if (input.checked) words.focus(); };
        box.append(el('div', { className: 'choice' }, input, words));
        own = { input, words };
      }
      this.read.append(box);
      return { choices, own };
    });
    this.read.addEventListener('input', () => this.draw());
    this.read.addEventListener('change', () => this.draw());
  }

  answers() {
    return this.fields.map(({ choices, own }) => {
      const list = choices.filter(({ input }) => input.checked).map(({ label }) => label);
      const words = own?.words.value.trim();
      if (words && (!own.input || own.input.checked)) list.push(words);
      return list;
    });
  }

  unanswered() {
    const given = this.answers(), left = given.filter((list) => !list.length).length;
    if (!left) return null;
    return given.length === 1 ? 'Choose an answer.' : `${given.length - left} of ${given.length} questions are answered.`;
  }
}
