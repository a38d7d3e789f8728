// A text of the host in pieces: sentences, and lines of TOML that are a block to copy. As the host's own pages do it
// (host/crates/web/src/pages/marked.rs).

export interface Block {
  kind: 'prose' | 'toml';
  text: string;
}

const KEY = /^[A-Za-z0-9_\-."]+$/;

function isToml(line: string): boolean {
  const header = (line.split(' #')[0] ?? '').trimEnd();
  const at = line.indexOf(' = ');
  return line.startsWith('# ') || (header.startsWith('[') && header.endsWith(']')) || (at > 0 && KEY.test(line.slice(0, at)));
}

export function blocks(text: string): Block[] {
  const all: Block[] = [];
  let toml = false;
  for (const line of text.split('\n')) {
    // A value may go on over several lines, and a blank line may be between two tables.
    toml = (toml && (line === '' || /^[ \t\]}]/.test(line))) || isToml(line);
    const kind = toml ? 'toml' : 'prose';
    const last = all.at(-1);
    if (last?.kind === kind) last.text += `\n${line}`;
    else all.push({ kind, text: line });
  }
  return all.map(({ kind, text: part }) => ({ kind, text: kind === 'toml' ? part.trimEnd() : part })).filter(({ text: part }) => part.trim());
}
