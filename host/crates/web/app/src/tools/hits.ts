// What a search found, from its output: files, and the lines in them.

import { inside } from './calls';

export interface HitFile {
  path: string;
  lines: { line: number; text: string }[];
}

export interface Hits {
  files: HitFile[];
  /** Lines of the output that are neither. */
  notes: string[];
}

const LINE = /^ *(?:Line )?(\d+): ?(.*)$/;
const WHOLE = /^([^\s:][^:]*):(\d+):(?:\d+:)?(.*)$/;
const isPath = (line: string): boolean => /^[^\s].*[/.]/.test(line) && !/[.!?)]$/.test(line) && line.length < 1024;

/** Null: the output is no list of files or lines. */
export function hitsOf(output: string, folder: string): Hits | null {
  const files = new Map<string, HitFile>();
  const notes: string[] = [];
  let open: HitFile | null = null;
  const file = (path: string): HitFile => {
    const name = inside(path, folder);
    const known = files.get(name) ?? { path: name, lines: [] };
    files.set(name, known);
    return known;
  };
  for (const line of output.split('\n')) {
    if (!line.trim()) continue;
    const found = open && LINE.exec(line);
    const whole = WHOLE.exec(line);
    if (open && found) open.lines.push({ line: Number(found[1]), text: found[2] ?? '' });
    else if (whole) file(whole[1] ?? '').lines.push({ line: Number(whole[2]), text: whole[3] ?? '' });
    else if (line.endsWith(':') && isPath(line.slice(0, -1))) open = file(line.slice(0, -1));
    else if (isPath(line)) file(line);
    else notes.push(line.trim());
  }
  return files.size && notes.length <= files.size + 2 ? { files: [...files.values()], notes } : null;
}
