// Outputs of tools as people read them.

/** As many lines of an output are shown at once. */
export const SHOWN = 24;

/** A long output, folded. `end`: its end counts, as with a command; else its beginning. */
export function folded(text: string, end: boolean): { shown: string; hidden: number } {
  const lines = text.replace(/\n+$/, '').split('\n');
  // To hide a few lines is worth nothing.
  if (lines.length <= SHOWN + 6) return { shown: lines.join('\n'), hidden: 0 };
  const part = end ? lines.slice(-SHOWN) : lines.slice(0, SHOWN);
  return { shown: part.join('\n'), hidden: lines.length - SHOWN };
}

/** What an output says without what it wraps that in: `<task …>`, `<task_result>`, `<path>`, `<content>`. */
export function unwrapped(output: string): string {
  const inner = /<(content|file|task_result|result)>\n?([\s\S]*?)\n?<\/\1>/.exec(output)?.[2];
  return inner ?? output.replace(/^\s*<task\b[^>]*>\n?/, '').replace(/\n?<\/task>\s*$/, '');
}
