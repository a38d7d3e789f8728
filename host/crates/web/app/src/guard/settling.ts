// One act answers one request.
//
// Problem: a second click, a trembling hand, a held key or a card that slides under the pointer presses a button that
// nobody has read. Mechanism: what is confirmed must have been in sight and have lain still for a moment; every touch
// before that restarts the moment; the second click of a double click and the repeats of a held key press nothing.
// Limit: who waits the moment out and then presses without reading is not kept from it.

const SETTLE = 1500;
const LOOK = 100;
const SLACK = 4;
const SIDES = ['left', 'top', 'right', 'bottom'] as const;

export class Settling {
  settled = false;
  /** It was settled before, and moved. */
  moved = false;
  #since = 0;
  #place: DOMRect | undefined;
  #timer: ReturnType<typeof setInterval>;

  /** Calls `changed()` each time `settled` changes. `find()`: what must lie still, or nothing while it is not there. */
  constructor(
    readonly find: () => HTMLElement | null | undefined,
    readonly changed: () => void,
  ) {
    for (const kind of ['pointerdown', 'keydown']) document.addEventListener(kind, this.#touch, true);
    this.restart();
    this.#timer = setInterval(() => this.look(), LOOK);
  }

  #touch = (event: Event): void => {
    const key = event instanceof KeyboardEvent ? event.key : null;
    if (!this.settled && (!key || key === 'Enter' || key === ' ')) this.#since = performance.now();
  };

  restart(moved = false): void {
    this.#since = performance.now();
    this.moved = moved && (this.moved || this.settled);
    this.#place = this.find()?.getBoundingClientRect();
    if (!this.settled) return;
    this.settled = false;
    this.changed();
  }

  /** True: it may be pressed. */
  look(): boolean {
    const node = this.find();
    const now = node?.getBoundingClientRect();
    const was = this.#place;
    const still = now && was && SIDES.every((side) => Math.abs(now[side] - was[side]) <= SLACK);
    // Nothing is read in a tab that is not looked at, outside of the window, or under something else.
    const seen = !document.hidden && node && now?.height
      && node.contains(document.elementFromPoint(now.left + now.width / 2, now.top + now.height / 2));
    if (!still || !seen) this.restart(!!was?.height);
    else if (!this.settled && performance.now() - this.#since >= SETTLE) {
      this.settled = true;
      this.moved = false;
      this.changed();
    }
    return this.settled;
  }

  /** A press of a key aims at the button itself, wherever it lies by now. */
  allows(click: MouseEvent | KeyboardEvent): boolean {
    return this.look() || (click.detail === 0 && this.moved);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const kind of ['pointerdown', 'keydown']) document.removeEventListener(kind, this.#touch, true);
  }
}

/** A held key presses a button once, on the whole page. */
export function pressesOnce(): void {
  document.addEventListener('keydown', (event) => {
    if (!event.repeat || (event.key !== 'Enter' && event.key !== ' ')) return;
    const at = event.target as Element;
    const presses = at.closest('button, summary, a, [type=radio], [type=checkbox]');
    if (presses || (event.key === 'Enter' && at.matches('input, select'))) event.preventDefault();
  }, true);
}
