// Changes of files: what happens to each file, and its lines as a unified diff. A file's name is the one that the request has
// for it, and not what a text says. Every line of a diff is shown; which ones belong to a file is known by the counts in its
// `@@` lines, so that a line of a file is never taken for a file's name.

import { code, el, literal } from './dom.js';

const KINDS = { added: 'Adds', modified: 'Changes', deleted: 'Deletes' };
const HUNK = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/;
const SIGNS = { '+': 'add', '-': 'del' };
// Some write a tab after a name.
const name = (line) => line.slice(4).replace(/\t$/, '');
// A file of the workspace is named with it or without it.
const inside = (path, folder) => (folder && path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path);
const heading = (...words) => el('p', { className: 'file' }, ...words);

// What the headers of a diff say beside what the heading says; null: nothing.
function renamed(kind, path, from, to) {
  if (to === '/dev/null') return kind === 'deleted' && from === path ? null : ['Deletes ', code(from)];
  if (from === '/dev/null') return kind === 'added' && to === path ? null : ['New file ', code(to)];
  const same = (from === path && to === path) || (from === `a/${path}` && to === `b/${path}`);
  return same ? null : from === to ? [code(to)] : [code(from), ' becomes ', code(to)];
}

// One file: its heading, and the lines of its diff.
function draw(box, file, folder, sum) {
  box.append(heading(`${KINDS[file.kind] ?? 'Changes'} `, code(file.path)));
  sum.files++;
  if (!file.diff) return;
  let pre = null, old = 0, fresh = 0, headers = 0;
  const put = (className, line) => {
    if (!pre) box.append(pre = el('pre', {}));
    pre.append(literal(el('span', { className }), line || ' '));
  };
  const lines = file.diff.replace(/\n$/, '').split('\n');
  const isHeaders = (n) => lines[n]?.startsWith('--- ') && lines[n + 1]?.startsWith('+++ ');
  for (let n = 0; n < lines.length; n++) {
    const line = lines[n];
    const hunk = old <= 0 && fresh <= 0 && HUNK.exec(line);
    if (hunk) {
      old = Number(hunk[1] ?? 1);
      fresh = Number(hunk[2] ?? 1);
      put('at', line);
    } else if (old > 0 || fresh > 0) {
      const sign = line[0];
      if (sign === '+') { fresh--; sum.added++; } else if (sign === '-') { old--; sum.gone++; } else if (sign !== '\\') { old--; fresh--; }
      put(SIGNS[sign] ?? '', line);
    } else if (isHeaders(n)) {
      const next = lines[++n];
      const words = renamed(file.kind, ...[file.path, name(line), name(next)].map((path) => inside(path, folder)));
      if (words) {
        pre = null;
        box.append(heading(...words));
        // The first ones are this file's own.
        if (headers > 0) sum.files++;
      // Below other lines they may be lines of the file.
      } else if (pre) {
        put('', line);
        put('', next);
      }
      headers++;
    // As opencode writes it, it says once more what the headers below it say.
    } else if (line.startsWith('Index: ') && /^=+$/.test(lines[n + 1]) && isHeaders(n + 2) && name(lines[n + 3]) === line.slice(7)) n++;
    else put('', line);
  }
}

// `list`: what happens to which files; `folder`: the workspace.
export function changes(list, folder) {
  const box = el('div', { className: 'change' }), sum = { files: 0, added: 0, gone: 0 };
  for (const file of list) draw(box, file, folder, sum);
  const { files, added, gone } = sum;
  if (added || gone) box.prepend(el('p', { className: 'help', textContent: `${files > 1 ? files + ' files: ' : ''}${added} ${added === 1 ? 'line' : 'lines'} added, ${gone} removed` }));
  return box;
}
