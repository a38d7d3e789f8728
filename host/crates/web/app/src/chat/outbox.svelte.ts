// What the user has sent and the host does not show yet. Each prompt has an id of its own and is sent again with it until the
// host has answered, so that it arrives once.

import { explained, type ClientFrame, type Frame, type NewPrompt } from '../api/types';
import { uuid } from '../state/uuid';
import { drop, keep, keptPrompts } from './kept-prompts';

const LONGEST_WAIT = 15_000;

type Options = Omit<NewPrompt, 'client_id' | 'text' | 'consent' | 'now'>;
export type PromptOptions = { -readonly [K in keyof Options]?: Options[K] };

export type SendingState =
  | { type: 'sending' }
  | { type: 'offline' }
  | { type: 'admitted' }
  | { type: 'deferred'; why: string };

export class Sending {
  readonly client_id: string;
  readonly text: string;
  readonly options: PromptOptions;
  /** It waits already and is now sent at once, whatever runs. */
  readonly now: boolean;
  state = $state.raw<SendingState>({ type: 'sending' });
  consent: string | null = null;
  tries = 0;

  /** As it was written. */
  get written(): string {
    const { command } = this.options;
    return command ? `/${command.name} ${command.arguments ?? ''}`.trim() : this.text;
  }

  timer: ReturnType<typeof setTimeout> | undefined;

  constructor(text: string, options: PromptOptions = {}, clientId = uuid(), now = false) {
    this.client_id = clientId;
    this.text = text;
    this.options = options;
    this.now = now;
  }
}

interface Surroundings {
  session: () => string | null;
  /** False: not connected. */
  send: (frame: ClientFrame) => boolean;
  /** Its message is shown. */
  isShown: (clientId: string) => boolean;
  /** A text comes back to who wrote it, with the reason. `calm`: the user wanted that. */
  giveBack: (item: Sending, why: string, calm: boolean) => void;
}

export class Outbox {
  items = $state<Sending[]>([]);
  /** One after the other: a text never changes under the pointer of who agrees to it. */
  consents = $state.raw<readonly { item: Sending; frame: Frame<'consent'> }[]>([]);
  #around: Surroundings;

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** What this browser has kept of the chat. */
  resume(): void {
    for (const item of this.items) clearTimeout(item.timer);
    this.consents = [];
    const session = this.#around.session();
    this.items = session ? keptPrompts(session).map(({ client_id, text, options }) => new Sending(text, options, client_id)) : [];
  }

  prompt(text: string, options: PromptOptions = {}): void {
    const item = new Sending(text, options);
    const session = this.#around.session();
    if (session) keep(session, item);
    this.#add(item);
  }

  /** What waits is sent at once, whatever runs. */
  now(clientId: string, text: string): void {
    this.#add(new Sending(text, {}, clientId, true));
  }

  /** The connection is there again. */
  connected(): void {
    for (const item of this.items) if (item.state.type !== 'admitted') this.transmit(item);
  }

  transmit(item: Sending): void {
    const session = this.#around.session();
    if (!session) return;
    const { client_id, text, consent, now, options } = item;
    const sent = this.#around.send({ type: 'prompt', session, client_id, text, consent, now, ...options });
    if (!sent) item.state = { type: 'offline' };
    else if (item.state.type === 'offline') item.state = { type: 'sending' };
  }

  forget(item: Sending): void {
    clearTimeout(item.timer);
    this.items = this.items.filter((other) => other !== item);
    const session = this.#around.session();
    if (session) drop(session, item.client_id);
  }

  /** A message of the user arrived from the backend: it takes the place of its bubble. */
  settle(clientId: string | undefined): void {
    const item = clientId ? this.#of(clientId) : this.items.find(({ state }) => state.type === 'admitted');
    if (item) this.forget(item);
  }

  /** The host shows the message: what was taken is one of the chat from now on. Where it is taken back, nothing of it comes again. */
  shown(clientId: string | undefined): void {
    const item = clientId ? this.#of(clientId) : undefined;
    if (item?.state.type === 'admitted') this.forget(item);
  }

  /** Those whose message is not shown yet. */
  get waiting(): Sending[] {
    return this.items.filter((item) => !this.#around.isShown(item.client_id));
  }

  withdraw(item: Sending, why: string): void {
    this.#giveBack(item, why, true);
  }

  consented(agreed: boolean, refused: string): void {
    const [first, ...rest] = this.consents;
    this.consents = rest;
    if (!first) return;
    if (!agreed) return this.#giveBack(first.item, refused, true);
    first.item.consent = first.frame.consent;
    this.transmit(first.item);
  }

  admitted({ client_id }: Frame<'admitted'>): void {
    const item = this.#of(client_id);
    if (!item) return;
    if (item.now || this.#around.isShown(client_id)) return this.forget(item);
    item.state = { type: 'admitted' };
    const session = this.#around.session();
    if (session) drop(session, client_id);
  }

  refused(frame: Frame<'refused'>): void {
    const item = this.#of(frame.client_id);
    if (item) this.#giveBack(item, explained(frame), false);
  }

  deferred(frame: Frame<'deferred'>): void {
    const item = this.#of(frame.client_id);
    if (!item) return;
    const wait = Math.min(LONGEST_WAIT, 1000 * 2 ** item.tries++);
    item.state = { type: 'deferred', why: explained(frame) };
    clearTimeout(item.timer);
    item.timer = setTimeout(() => this.transmit(item), wait);
  }

  consent(frame: Frame<'consent'>): void {
    const item = this.#of(frame.client_id);
    if (item) this.consents = [...this.consents, { item, frame }];
  }

  #add(item: Sending): void {
    this.items.push(item);
    this.transmit(item);
  }

  #giveBack(item: Sending, why: string, calm: boolean): void {
    this.forget(item);
    this.#around.giveBack(item, why, calm);
  }

  #of(clientId: string): Sending | undefined {
    return this.items.find((item) => item.client_id === clientId);
  }
}
