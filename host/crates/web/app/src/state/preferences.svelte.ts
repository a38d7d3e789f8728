// What the owner has chosen for this browser: how the page looks, and what Enter does. It stays in this browser.

const CHOICES = {
  theme: ['system', 'light', 'dark'],
  text: ['normal', 'large', 'larger'],
  enter: ['auto', 'send', 'newline'],
} as const;

type Name = keyof typeof CHOICES;
type Chosen = { -readonly [N in Name]: (typeof CHOICES)[N][number] };

export const choicesOf = <N extends Name>(name: N): (typeof CHOICES)[N] => CHOICES[name];

function kept<N extends Name>(name: N): Chosen[N] {
  let found: string | null = null;
  try {
    found = localStorage.getItem(`nexus:${name}`);
  } catch { /* off */ }
  const all = CHOICES[name] as readonly string[];
  return (found !== null && all.includes(found) ? found : all[0]) as Chosen[N];
}

class Preferences {
  #all = $state<Chosen>({ theme: kept('theme'), text: kept('text'), enter: kept('enter') });

  get<N extends Name>(name: N): Chosen[N] {
    return this.#all[name];
  }

  set<N extends Name>(name: N, value: Chosen[N]): void {
    this.#all[name] = value;
    this.apply();
    try {
      if (value === CHOICES[name][0]) localStorage.removeItem(`nexus:${name}`);
      else localStorage.setItem(`nexus:${name}`, value);
    } catch { /* full or off */ }
  }

  /** The style sheet goes by these attributes (styles/tokens.css). */
  apply(): void {
    const { theme, text } = this.#all;
    const { dataset } = document.documentElement;
    if (theme === 'system') delete dataset['theme'];
    else dataset['theme'] = theme;
    if (text === 'normal') delete dataset['text'];
    else dataset['text'] = text;
  }

  /** Whether Enter alone sends. A keyboard on the screen has no Shift+Enter: there Enter makes a line, unless it was chosen. */
  enterSends(touch: boolean): boolean {
    return this.#all.enter === 'auto' ? !touch : this.#all.enter === 'send';
  }
}

export const preferences = new Preferences();
