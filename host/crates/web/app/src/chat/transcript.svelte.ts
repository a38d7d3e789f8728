// What is known of the chat that is shown: the host's frames, applied in order, as reactive state. It draws nothing and sends
// nothing, so that a test needs neither.

import type {
  AgentRequest, FileChange, Frame, HostEvent, Message, MessageWithParts, RenderedPart, SessionInfo, SessionState, TodoItem, Turn,
} from '../api/types';
import type { Plan } from './layout';
import { isQuiet } from '../tools/calls';

export class PartState {
  readonly id: string;
  data = $state.raw() as RenderedPart;
  /** The text of an open part. It grows by deltas, which do not touch `data`. */
  text = $state('');
  /** The blocks of an open text that are complete, rendered by the host, and the text after them. */
  blocks = $state.raw<readonly string[]>([]);
  tail = $state('');
  /** When it began, by this clock; null: that was not seen here. */
  readonly began: number | null;
  /** How long it took until it was closed, in milliseconds; null: that was not seen here. */
  took = $state<number | null>(null);

  /** `began`: it begins now. */
  constructor(data: RenderedPart, began = false) {
    this.id = data.id;
    this.began = began && !data.closed ? Date.now() : null;
    this.set(data);
  }

  set(data: RenderedPart): void {
    this.data = data;
    if (data.closed && this.began !== null) this.took ??= Date.now() - this.began;
    const { content } = data;
    this.text = content.type === 'text' || content.type === 'reasoning' ? content.text : '';
    this.blocks = [];
    this.tail = this.text;
    this.revision = data.revision;
  }

  revision = 0;
}

export class MessageState {
  readonly id: string;
  info = $state.raw() as Message;
  /** Another list each time. */
  parts = $state.raw<readonly PartState[]>([]);
  /** How it is laid out: see layout.ts. Null: that is not known yet. */
  plan = $state.raw<Plan | null>(null);
  /** What the layout of the chat needs to know of it, as one value that changes when that does. */
  readonly form = $derived.by(() => {
    const { role, error, interrupted, waiting } = this.info;
    const kinds = this.parts.map(({ data }) => (!isSeen(data) ? '-' : isNote(data) ? 'n' : data.content.type === 'tool' && isQuiet(data.content) ? 'q' : 's'));
    return `${role[0]}${waits(this.info) ? 'w' : error || interrupted || waiting ? '!' : ' '}${kinds.join('')}`;
  });

  constructor(info: Message) {
    this.id = info.id;
    this.info = info;
  }
}

/** The host shows a prompt before the backend has taken it, and takes it back where it is refused. */
export const isLocal = ({ id, client_id }: Message): boolean => id === `local-${client_id}`;

/** The owner can still take it back. */
export const waits = ({ waiting }: Message): boolean => waiting?.type === 'turn' || waiting?.type === 'owner';

/** A line of the chat, and nobody's words. */
export const isNote = ({ content }: RenderedPart): boolean => content.type === 'compacted';

/** Whether a part is seen at all: what only the backend knows is not. */
export const isSeen = ({ content }: RenderedPart): boolean => content.type !== 'other';

// By its time, as the host has it; what waits comes after all that was said.
const rank = ({ info }: MessageState): number => (waits(info) ? Infinity : info.created_at);

export type Gap = { from: number | null };

export class Transcript {
  seq: number | null = null;
  info = $state.raw<SessionInfo | null>(null);
  /** Another list each time. */
  messages = $state.raw<readonly MessageState[]>([]);
  turn = $state.raw<Turn>({ state: 'idle' });
  requests = $state.raw<readonly AgentRequest[]>([]);
  todo = $state.raw<readonly TodoItem[]>([]);
  changes = $state.raw<readonly FileChange[]>([]);
  /** What went wrong outside any message. */
  error = $state<string | null>(null);
  /** What to ask for the messages before these. Null: there are none. */
  before = $state<string | null>(null);
  /** Why there is nothing to show and never will be: no such chat, or one that was deleted. */
  gone = $state<string | null>(null);
  /** How often the whole state came. */
  loads = $state(0);
  /** What `messages` is made of: many changes are one change of it. */
  #list: MessageState[] = [];
  #byId = new Map<string, MessageState>();
  #parts = new Map<string, PartState>();

  /** The last one that the backend has, or is given. */
  get last(): MessageState | undefined {
    return this.messages.findLast(({ info }) => !waits(info));
  }

  get busy(): boolean {
    return this.turn.state === 'running' || this.turn.state === 'retrying';
  }

  message = (id: string): MessageState | undefined => this.#byId.get(id);
  part = (id: string): PartState | undefined => this.#parts.get(id);

  /** Replaces all that was known. */
  state(state: SessionState): void {
    this.seq = state.seq;
    this.#byId.clear();
    this.#parts.clear();
    this.#list = [];
    this.info = state.info;
    this.turn = state.turn;
    this.requests = state.requests;
    this.todo = state.todo ?? [];
    this.changes = state.changes ?? [];
    this.error = state.error?.text ?? null;
    this.before = state.before ?? null;
    this.gone = null;
    this.loads++;
    this.#putAll(state.messages);
  }

  older(frame: Frame<'older'>): void {
    this.before = frame.before ?? null;
    this.#putAll(frame.messages);
  }

  /** A part as a whole, which was shortened before. */
  whole(part: RenderedPart): void {
    this.#parts.get(part.id)?.set({ ...part, truncated_bytes: undefined } as RenderedPart);
  }

  /** Blocks of an open text are complete. */
  complete({ part: id, html, tail }: Frame<'blocks'>): void {
    const part = this.#parts.get(id);
    if (!part || part.data.closed) return;
    part.blocks = [...part.blocks, html];
    part.tail = tail;
  }

  request(request: AgentRequest): void {
    this.requests = [...this.requests.filter(({ id }) => id !== request.id), request];
  }

  end(cause: string): void {
    this.#byId.clear();
    this.#parts.clear();
    this.#list = [];
    this.messages = [];
    this.requests = [];
    this.turn = { state: 'idle' };
    this.gone = cause;
  }

  /** The answer is what to subscribe from: something between is missing. */
  event(frame: Frame<'event'>): Gap | null {
    if (this.seq !== null && frame.seq <= this.seq) return null;
    if (this.seq === null || frame.prev > this.seq) return { from: this.seq };
    this.seq = frame.seq;
    this.#apply(frame.event, frame);
    return null;
  }

  #apply(event: HostEvent, { html, truncated_bytes }: Pick<Frame<'event'>, 'html' | 'truncated_bytes'>): void {
    switch (event.type) {
      case 'session': this.info = event.info; break;
      case 'message': return this.#putEventMessage(event.message);
      case 'message_removed': return this.#removeMessage(event.message);
      case 'part': return this.#putPart({ ...event.part, html, truncated_bytes } as RenderedPart, true);
      case 'delta': {
        const part = this.#parts.get(event.part);
        if (!part || event.revision <= part.revision) return;
        part.revision = event.revision;
        // It was taken for the end of an interrupted answer, which goes on after all.
        if (part.data.html !== undefined || part.data.closed) part.data = { ...part.data, closed: false, html: undefined } as RenderedPart;
        part.text += event.text;
        part.tail += event.text;
        return;
      }
      case 'part_removed': {
        const message = this.#byId.get(event.message);
        this.#parts.delete(event.part);
        if (message) message.parts = message.parts.filter(({ id }) => id !== event.part);
        return;
      }
      case 'request': return this.request(event.request);
      case 'request_closed': this.requests = this.requests.filter(({ id }) => id !== event.request); break;
      case 'turn':
        this.turn = event.turn;
        // What went wrong before, outside any message, is over.
        if (event.turn.state === 'running') this.error = null;
        break;
      case 'todo': this.todo = event.items; break;
      case 'changes': this.changes = event.files; break;
      case 'error': {
        const known = event.message === null ? undefined : this.#byId.get(event.message);
        if (known) known.info = { ...known.info, error: event.text };
        else if (this.last?.info.error !== event.text) this.error = event.text;
        break;
      }
      case 'session_removed': case 'note': break;
    }
  }

  #putAll(list: readonly MessageWithParts[]): void {
    for (const { message, parts } of list) {
      this.#putMessage(message);
      for (const part of parts) this.#putPart(part);
    }
    this.messages = [...this.#list];
  }

  // One that is older than what is shown comes with the older ones.
  #putEventMessage(info: Message): void {
    const first = this.#list[0];
    if (this.before && !this.#byId.has(info.id) && first && info.created_at < first.info.created_at) return;
    if (this.#putMessage(info)) this.messages = [...this.#list];
  }

  // True: the list is another one.
  #putMessage(info: Message): boolean {
    let message = this.#byId.get(info.id);
    // It may have come before, as an error of the whole turn.
    if (info.error && info.error === this.error) this.error = null;
    if (message) {
      const moved = rank(message);
      message.info = info;
      if (moved === rank(message)) return false;
      this.#list = this.#list.filter((other) => other !== message);
    } else {
      message = new MessageState(info);
      this.#byId.set(info.id, message);
    }
    const own = rank(message);
    const at = this.#list.findLastIndex((other) => rank(other) <= own) + 1;
    this.#list.splice(at, 0, message);
    return true;
  }

  #removeMessage(id: string): void {
    const message = this.#byId.get(id);
    if (!message) return;
    for (const part of message.parts) this.#parts.delete(part.id);
    this.#byId.delete(id);
    this.#list = this.#list.filter((other) => other.id !== id);
    this.messages = [...this.#list];
  }

  // `now`: it comes as it happens.
  #putPart(data: RenderedPart, now = false): void {
    const known = this.#parts.get(data.id);
    if (known) {
      if (data.revision <= known.revision && !(data.html !== undefined && known.data.html === undefined)) return;
      return known.set(data);
    }
    const message = this.#byId.get(data.message);
    if (!message) return;
    const part = new PartState(data, now);
    this.#parts.set(data.id, part);
    message.parts = [...message.parts, part];
  }
}
