// How messages are laid out: which belong to one answer, where it ends, and which calls fold to one line. An agent makes a message
// of each of its steps; who reads sees one answer.

import type { MessageState, PartState } from './transcript.svelte';

export type Item =
  | { type: 'part'; key: string; part: PartState }
  | { type: 'fold'; key: string; parts: readonly PartState[] };

export interface Plan {
  /** What its body shows. */
  items: readonly Item[];
  /** Nothing of it is seen here. */
  hidden: boolean;
  /** It goes on with the answer above it. */
  continues: boolean;
  /** The messages of the answer that ends with it; empty: it does not end here. */
  answer: readonly MessageState[];
  /** It is the last that something can be done with. */
  last: boolean;
  /** It was among the newest when it came. */
  recent: boolean;
  /** Tells a plan from another one of the same message. */
  readonly sign: string;
}

/** As many are drawn at once where a chat is opened. */
const RECENT = 20;

interface Draft {
  message: MessageState;
  parts: readonly PartState[];
  form: string;
  items: Item[];
  sign: string[];
}

const isMine = (form: string): boolean => form.startsWith('u');
const isMarked = (form: string): boolean => form[1] !== ' ';
const waits = (form: string): boolean => form[1] === 'w';
const kinds = (form: string): string => form.slice(2);
/** A line of the chat, and nobody's words. */
export const isNote = (form: string): boolean => /^-*n[-n]*$/.test(kinds(form));

interface Rough {
  draft: Draft;
  continues: boolean;
  answer: readonly MessageState[];
}

export class Layout {
  #last = new Map<string, Plan>();

  /** The plans of all messages, by their ids. `busy`: the last answer goes on. */
  of(messages: readonly { message: MessageState; parts: readonly PartState[]; form: string }[], busy: boolean): ReadonlyMap<string, Plan> {
    const drafts = messages.map(({ message, parts, form }): Draft => ({ message, parts, form, items: [], sign: [] }));
    fold(drafts);
    const roughs = answers(drafts, busy);
    const end = roughs.findLast(({ draft, answer }) => answer.length && !isHidden(draft));
    const next = new Map<string, Plan>();
    roughs.forEach((rough, n) => next.set(rough.draft.message.id, this.#plan(rough, rough === end, n >= roughs.length - RECENT)));
    this.#last = next;
    return next;
  }

  // What did not change is the same object, so that nothing is drawn again.
  #plan({ draft, continues, answer }: Rough, last: boolean, recent: boolean): Plan {
    const sign = `${draft.sign.join()}|${draft.form[1]}|${continues}|${last}|${answer.map(({ id }) => id).join()}`;
    const known = this.#last.get(draft.message.id);
    if (known?.sign === sign) return known;
    return { items: draft.items, hidden: isHidden(draft), continues, answer, last, recent: known?.recent ?? recent, sign };
  }
}

function answers(drafts: readonly Draft[], busy: boolean): Rough[] {
  const all: Rough[] = [];
  let open: Draft[] = [];
  const close = (ends: boolean) => {
    const messages = ends ? open.map(({ message }) => message) : [];
    const lastShown = open.findLast((draft) => !isHidden(draft));
    let shown = 0;
    for (const draft of open) {
      all.push({ draft, continues: shown > 0 && !isHidden(draft), answer: draft === lastShown ? messages : [] });
      if (!isHidden(draft)) shown++;
    }
    open = [];
  };
  for (const draft of drafts) {
    if (!isMine(draft.form) && !isNote(draft.form)) {
      open.push(draft);
      continue;
    }
    // What waits stands below the answer that it waits for.
    close(!(busy && waits(draft.form)));
    all.push({ draft, continues: false, answer: [draft.message] });
  }
  close(!busy);
  return all;
}

// What is in the fold of an earlier message, or nothing at all, has no bubble. A prompt or an answer may be there before its first part.
function isHidden({ items, form, parts }: Draft): boolean {
  return !items.length && !isMarked(form) && (parts.length > 0 || form.startsWith('s'));
}

function fold(drafts: readonly Draft[]): void {
  let run: { draft: Draft; parts: PartState[] } | null = null;
  const put = (draft: Draft, item: Item, sign: string) => {
    draft.items.push(item);
    draft.sign.push(sign);
  };
  const close = () => {
    if (!run) return;
    const { draft, parts } = run;
    const [first] = parts;
    run = null;
    if (!first) return;
    if (parts.length > 1) put(draft, { type: 'fold', key: `fold ${first.id}`, parts }, `fold ${parts.map(({ id }) => id).join('+')}`);
    else put(draft, { type: 'part', key: first.id, part: first }, first.id);
  };
  for (const draft of drafts) {
    if (isMine(draft.form) || isMarked(draft.form)) close();
    [...kinds(draft.form)].forEach((kind, n) => {
      const part = draft.parts[n];
      if (!part || kind === '-') return;
      if (kind === 'q') return void (run ??= { draft, parts: [] }).parts.push(part);
      close();
      put(draft, { type: 'part', key: part.id, part }, part.id);
    });
    if (isMine(draft.form) || isMarked(draft.form)) close();
  }
  close();
}
