import { describe, expect, it } from 'vitest';
import { blocks } from './explained';

describe('a text of the host', () => {
  it('has lines of TOML between its sentences', () => {
    expect(blocks('add these lines to `n.toml`:\n[plugin.x.config]   # new\nhosts = [\n  "<a>",\n]\n\n[plugin.x.secrets]\n# token = { env = "T" }\n\nIt also has changes.')).toEqual([
      { kind: 'prose', text: 'add these lines to `n.toml`:' },
      { kind: 'toml', text: '[plugin.x.config]   # new\nhosts = [\n  "<a>",\n]\n\n[plugin.x.secrets]\n# token = { env = "T" }' },
      { kind: 'prose', text: 'It also has changes.' },
    ]);
  });

  it('is prose where it only looks like TOML', () => {
    for (const prose of ['exit 1:\nno such file', '[::1]:80 is in use', 'a b = c']) expect(blocks(prose)).toEqual([{ kind: 'prose', text: prose }]);
  });
});
