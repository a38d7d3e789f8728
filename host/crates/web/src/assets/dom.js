// Small things that every script of the page needs.

export const $ = (id) => document.getElementById(id);

// A cause and its fix, in one text.
export const explained = ({ cause, fix }) => (fix ? `${cause} To fix: ${fix}` : cause);

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key in node && key !== 'role') node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

// What is not seen as what it is: the host's marks; where JSON's escapes hid it from the host, the character itself; and
// letters that run from right to left, which would turn around what stands between two of them.
const UNSEEN = new RegExp('⟨U\\+[0-9A-F]{4,6}⟩'
  + '|(?![\\n\\t])[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Co}\\p{Cs}]'
  + '|(?! )[\\p{Zs}\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u2800\\u3164\\uffa0\\ufe00-\\ufe0f]|[\\u{e0100}-\\u{e01ef}]'
  + '|(?<rtl>(?:(?!\\p{Cf})[\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc\\u{10800}-\\u{10fff}\\u{1e800}-\\u{1efff}])+)', 'gu');

// Puts text that is meant to the letter into the node: from left to right, with nothing hidden.
export function literal(node, text) {
  let at = 0;
  for (const found of text.matchAll(UNSEEN)) {
    node.append(text.slice(at, found.index));
    at = found.index + found[0].length;
    if (found.groups.rtl) node.append(el('bdi', { textContent: found[0] }));
    else {
      const mark = found[0].startsWith('⟨') ? found[0]
        : `⟨U+${found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`;
      node.append(el('mark', { className: 'unseen', textContent: mark }));
    }
  }
  node.append(text.slice(at));
  return node;
}

export const code = (text) => literal(el('code', { className: 'literal' }), text);

// The one place where HTML gets in: rendered and sanitised by the server (web/markdown.rs, web/templates).
export function setHtml(node, html) {
  node.innerHTML = html;
  for (const box of node.querySelectorAll('pre, table')) box.tabIndex = 0;
  // Each block runs in the direction of its own first letter.
  for (const block of node.querySelectorAll('ul, ol, table, blockquote')) block.dir = 'auto';
  if (!navigator.clipboard) return;
  for (const pre of node.querySelectorAll('pre')) {
    const text = pre.textContent;
    const copy = el('button', { type: 'button', className: 'copy', textContent: 'Copy' });
    copy.onclick = () => navigator.clipboard.writeText(text).then(() => {
      copy.textContent = 'Copied';
      setTimeout(() => { copy.textContent = 'Copy'; }, 1500);
    });
    const box = el('div', { className: 'code' });
    pre.replaceWith(box);
    box.append(pre, copy);
  }
}

// What a reader hears of a text: not the labels of its buttons.
export const spoken = (node) => {
  const copy = node.cloneNode(true);
  for (const button of copy.querySelectorAll('button')) button.remove();
  return copy.textContent;
};

export const store = {
  get: (key, otherwise) => { try { return JSON.parse(sessionStorage.getItem('nexus:' + key)) ?? otherwise; } catch { return otherwise; } },
  set: (key, value) => { try { sessionStorage.setItem('nexus:' + key, JSON.stringify(value)); } catch { /* full or off */ } },
};

// crypto.randomUUID exists on TLS and localhost only; a plain tunnel has neither.
export const uuid = () => crypto.randomUUID?.()
  ?? Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Enter sends what is in the box, once and as a person means it. `touch`: the keyboard is on the screen. */
export function sendsByEnter(box, touch, send) {
  box.addEventListener('keydown', (event) => {
    // A keyboard on the screen has no Shift+Enter: there Enter makes a line, and the button sends.
    const sends = event.ctrlKey || event.metaKey || !(event.shiftKey || touch);
    // Safari ends a composition before the Enter that chose its word; the old code of that key still tells them apart.
    if (event.key !== 'Enter' || !sends || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    // A key that is held sends once, and not what is written meanwhile.
    if (!event.repeat) send();
  });
}

/** What is pasted or dropped without any text would vanish without a word: `refuse` says one. */
export function refusesFiles(box, refuse) {
  for (const kind of ['paste', 'drop']) {
    box.addEventListener(kind, (event) => {
      const data = event.clipboardData ?? event.dataTransfer;
      if (!data?.files.length || data.getData('text/plain')) return;
      event.preventDefault();
      refuse();
    });
  }
}
