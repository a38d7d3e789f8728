// Small things that every script of the page needs.

export const $ = (id) => document.getElementById(id);

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key in node && key !== 'role') node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

// The one place where HTML gets in: rendered and sanitised by the server (web/markdown.rs, web/templates).
export function setHtml(node, html) {
  node.innerHTML = html;
  for (const box of node.querySelectorAll('pre, table')) box.tabIndex = 0;
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

export const store = {
  get: (key, otherwise) => { try { return JSON.parse(sessionStorage.getItem('nexus:' + key)) ?? otherwise; } catch { return otherwise; } },
  set: (key, value) => { try { sessionStorage.setItem('nexus:' + key, JSON.stringify(value)); } catch { /* full or off */ } },
};

// crypto.randomUUID exists on TLS and localhost only; a plain tunnel has neither.
export const uuid = () => crypto.randomUUID?.()
  ?? Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
