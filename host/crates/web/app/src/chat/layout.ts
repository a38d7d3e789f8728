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
  /** Tells a plan from another one of the same message. */
  readonly sign: string;
}

interface Draft {
  message: MessageState;
  parts: PartState[];
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

export class Layout {
  #last = new Map<string, Plan>();

  /** The plans of all messages, by their ids. `busy`: the last answer goes on. */
  of(messages: readonly { message: MessageState; parts: readonly PartState[]; form: string }[], busy: boolean): ReadonlyMap<string, Plan> {
    const drafts = messages.map(({ message, parts, form }): Draft => ({ message, parts: [...parts], form, items: [], sign: [] }));
    fold(drafts);
    const next = new Map<string, Plan>();
    let answer: Draft[] = [];
    const goOn = () => {
      answer.forEach((draft, n) => next.set(draft.message.id, this.#plan(draft, n > 0, [])));
      answer = [];
    };
    const end = () => {
      const shown = answer.filter((draft) => !isHidden(draft));
      const all = answer.map(({ message }) => message);
      shown.forEach((draft, n) => next.set(draft.message.id, this.#plan(draft, n > 0, n === shown.length - 1 ? all : [])));
      for (const draft of answer) if (!next.has(draft.message.id)) next.set(draft.message.id, this.#plan(draft, false, []));
      answer = [];
    };
    for (const draft of drafts) {
      if (!isMine(draft.form) && !isNote(draft.form)) {
        answer.push(draft);
        continue;
      }
      // What waits stands below the answer that it waits for.
      if (busy && waits(draft.form)) goOn();
      else end();
      next.set(draft.message.id, this.#plan(draft, false, [draft.message]));
    }
    if (busy) goOn();
    else end();
    this.#last = next;
    return next;
  }

  // What did not change is the same object, so that nothing is drawn again.
  #plan(draft: Draft, continues: boolean, answer: readonly MessageState[]): Plan {
    const sign = `${draft.sign.join()}|${draft.form[1]}|${continues}|${answer.map(({ id }) => id).join()}`;
    const known = this.#last.get(draft.message.id);
    if (known?.sign === sign) return known;
    return { items: draft.items, hidden: isHidden(draft), continues, answer, sign };
  }
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
