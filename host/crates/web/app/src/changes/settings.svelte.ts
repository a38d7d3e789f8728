// How changes are shown, which is remembered.

import { MediaQuery } from 'svelte/reactivity';

const SPLIT = 'nexus:changes-split';
const WIDTH = 'nexus:changes-width';

function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch { /* full or off */ }
}

class ChangesSettings {
  #split = $state(stored(SPLIT) === 'yes');
  #width = $state(Number(stored(WIDTH)) || 0);
  /** There is room for the changes beside the chat. */
  readonly wide = new MediaQuery('(min-width: 64rem)', true);

  /** Both versions beside each other. */
  get split(): boolean {
    return this.#split;
  }

  set split(to: boolean) {
    this.#split = to;
    store(SPLIT, to ? 'yes' : 'no');
  }

  /** The width of the panel in px; 0: as it comes. */
  get width(): number {
    return this.#width;
  }

  set width(to: number) {
    this.#width = to;
    store(WIDTH, String(to));
  }
}

export const changesSettings = new ChangesSettings();
