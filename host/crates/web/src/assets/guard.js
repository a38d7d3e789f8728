// One act answers one request.
//
// Problem: a second click, a trembling hand, a held key or a card that slides under the pointer presses a button that
// nobody has read. Mechanism: what is confirmed must have been in sight and have lain still for a moment; every touch
// before that restarts the moment; the second click of a double click and the repeats of a held key press nothing.
// Limit: who waits the moment out and then presses without reading is not kept from it.

const SETTLE = 1500, LOOK = 100, SLACK = 4;

// Calls `changed()` each time `settled` changes. `find()`: what must lie still, or nothing while it is not there.
export class Settling {
  settled = false;
  // It was settled before, and moved.
  moved = false;
  constructor(find, changed) {
    this.find = find;
    this.changed = changed;
    this.touch = ({ key }) => { if (!this.settled && (!key || key === 'Enter' || key === ' ')) this.since = performance.now(); };
    for (const kind of ['pointerdown', 'keydown']) document.addEventListener(kind, this.touch, true);
    this.restart();
    this.timer = setInterval(() => this.look(), LOOK);
  }

  restart(moved = false) {
    this.since = performance.now();
    this.moved = moved && (this.moved || this.settled);
    this.place = this.find()?.getBoundingClientRect();
    if (!this.settled) return;
    this.settled = false;
    this.changed();
  }

  // True: it may be pressed.
  look() {
    const node = this.find(), now = node?.getBoundingClientRect(), was = this.place;
    const still = now && was && ['left', 'top', 'right', 'bottom'].every((side) => Math.abs(now[side] - was[side]) <= SLACK);
    // Nothing is read in a tab that is not looked at, outside of the window, or under something else.
    const seen = !document.hidden && now?.height && node.contains(document.elementFromPoint(now.left + now.width / 2, now.top + now.height / 2));
    if (!still || !seen) this.restart(!!was?.height);
    else if (!this.settled && performance.now() - this.since >= SETTLE) {
      this.settled = true;
      this.moved = false;
      this.changed();
    }
    return this.settled;
  }

  // A press of a key aims at the button itself, wherever it lies by now.
  allows(click) { return this.look() || (click.detail === 0 && this.moved); }

  stop() {
    clearInterval(this.timer);
    for (const kind of ['pointerdown', 'keydown']) document.removeEventListener(kind, this.touch, true);
  }
}

// Runs `act` at a press of the button: once per press, not again for the second click of a double click.
export const press = (button, act) => {
  button.addEventListener('click', (event) => { if (event.detail < 2) act(event); });
  return button;
};

// Guards a button that is not to be pressed in the moment it appears, as long as it is on the page.
export function careful(button) {
  button.disabled = true;
  let settling = null;
  const find = () => {
    if (settling && !button.isConnected) settling.stop();
    return button;
  };
  settling = new Settling(find, () => {
    // To take the focus away would be worse.
    if (settling.settled || !button.matches(':focus-visible')) button.disabled = !settling.settled;
  });
  button.addEventListener('click', (event) => {
    if (event.detail < 2 && settling.allows(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  return settling;
}

// For every page: a held key presses a button once, and a form is sent once.
export function once() {
  document.addEventListener('keydown', (event) => {
    if (!event.repeat || (event.key !== 'Enter' && event.key !== ' ')) return;
    const at = event.target;
    const presses = at.closest?.('button, summary, a, [type=radio], [type=checkbox]');
    if (presses || (event.key === 'Enter' && at.matches?.('input, select'))) event.preventDefault();
  }, true);
  const sent = new WeakSet();
  document.addEventListener('submit', (event) => {
    if (event.defaultPrevented || event.target.method === 'dialog') return;
    if (sent.has(event.target)) return event.preventDefault();
    sent.add(event.target);
    // The answer may be a page that stays, such as a download or an error of the network.
    setTimeout(() => sent.delete(event.target), 5000);
  });
}
