// A change of files as a unified diff: what goes, what comes, in which file. Every line of the text is shown; which lines
// belong to a file is known by the counts in its `@@` lines, so that a line of a file is never taken for a file's name.

import { code, el, literal } from './dom.js';

const HUNK = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/;
const KINDS = { '+': 'add', '-': 'del' };
const name = (line) => line.slice(4).replace(/\t.*$/, '');

export function change(text) {
  const box = el('div', { className: 'change' });
  let pre = null, old = 0, fresh = 0, from = null, added = 0, gone = 0, files = 0;
  const put = (className, line) => {
    if (!pre) box.append(pre = el('pre', {}));
    pre.append(literal(el('span', { className }), line || ' '));
  };
  const lines = text.replace(/\n$/, '').split('\n');
  for (const line of lines) {
    const hunk = old <= 0 && fresh <= 0 && HUNK.exec(line);
    if (hunk) {
      old = Number(hunk[1] ?? 1);
      fresh = Number(hunk[2] ?? 1);
      put('at', line);
    } else if (old > 0 || fresh > 0) {
      const sign = line[0];
      if (sign === '+') { fresh--; added++; } else if (sign === '-') { old--; gone++; } else if (sign !== '\\') { old--; fresh--; }
      put(KINDS[sign] ?? '', line);
    } else if (line.startsWith('--- ')) from = name(line);
    else if (line.startsWith('+++ ') && from !== null) {
      const to = name(line);
      files++;
      pre = null;
      box.append(el('p', { className: 'file' },
        ...(to === '/dev/null' ? ['Deletes ', code(from)] : from === '/dev/null' ? ['New file ', code(to)]
          : from === to || 'a/' + to.slice(2) === from ? [code(to)] : [code(from), ' becomes ', code(to)])));
      from = null;
    } else if (!/^(Index: |=+$|$)/.test(line)) put('', line);
  }
  if (from !== null) put('', from);
  if (added || gone) box.prepend(el('p', { className: 'help', textContent: `${files > 1 ? files + ' files: ' : ''}${added} ${added === 1 ? 'line' : 'lines'} added, ${gone} removed` }));
  return box;
}
