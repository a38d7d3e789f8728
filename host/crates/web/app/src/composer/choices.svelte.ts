// What the backend offers to choose from, asked for once for each backend and project folder, and what is chosen in each chat.

import { call } from '../api/rest';
import type { Agent, ChatCommand, Model } from '../api/types';

interface Offer {
  models: readonly Model[];
  defaultModel: string | null;
  agents: readonly Agent[];
  defaultAgent: string | null;
  commands: readonly ChatCommand[];
}

const NOTHING: Offer = { models: [], defaultModel: null, agents: [], defaultAgent: null, commands: [] };

export interface Chosen {
  model?: string;
  variant?: string;
  agent?: string;
}

const KEY = 'nexus:chosen:';

export class Choices {
  offer = $state.raw<Offer>(NOTHING);
  chosen = $state.raw<Chosen>({});
  #of = '';

  /** `plugin`: the chat backend that is up. Absent features are not asked for. */
  async load(plugin: string, workspace: string | null, features: readonly string[]): Promise<void> {
    const of = JSON.stringify([plugin, workspace, features]);
    if (of === this.#of) return;
    this.#of = of;
    this.offer = NOTHING;
    const query = workspace ? { workspace } : {};
    const ask = <T>(feature: string, path: string, none: T): Promise<T> =>
      (features.includes(feature) ? call<T>(path, { query }).catch(() => none) : Promise.resolve(none));
    const [models, agents, commands] = await Promise.all([
      ask<{ models: readonly Model[]; default: string | null }>('models', '/backend/models', { models: [], default: null }),
      ask<{ agents: readonly Agent[]; default: string | null }>('agents', '/backend/agents', { agents: [], default: null }),
      ask<readonly ChatCommand[]>('commands', '/backend/commands', []),
    ]);
    // Another backend or folder was asked for meanwhile.
    if (of !== this.#of) return;
    this.offer = { models: models.models, defaultModel: models.default, agents: agents.agents, defaultAgent: agents.default, commands };
  }

  /** Asks again: a provider was signed in to, say. */
  forget(): void {
    this.#of = '';
  }

  /** What was chosen in that chat; a new chat begins with what was chosen last. */
  restore(session: string | null): void {
    try {
      this.chosen = JSON.parse(localStorage.getItem(KEY + (session ?? 'new')) ?? localStorage.getItem(`${KEY}new`) ?? '{}') as Chosen;
    } catch {
      this.chosen = {};
    }
  }

  choose(session: string | null, change: Chosen): void {
    const next = { ...this.chosen, ...change };
    // A variant is one of its model.
    if ('model' in change) delete next.variant;
    this.chosen = Object.fromEntries(Object.entries(next).filter(([, value]) => value)) as Chosen;
    try {
      const text = JSON.stringify(this.chosen);
      localStorage.setItem(`${KEY}new`, text);
      if (session) localStorage.setItem(KEY + session, text);
    } catch { /* full or off */ }
  }

  /** What is chosen and offered: a model that is gone is not asked for. */
  get valid(): Chosen {
    const { models, agents } = this.offer;
    const model = models.find(({ id }) => id === this.chosen.model);
    const valid: Chosen = {};
    if (model) valid.model = model.id;
    if (this.model?.variants.includes(this.chosen.variant ?? '')) valid.variant = this.chosen.variant as string;
    if (agents.some(({ id }) => id === this.chosen.agent)) valid.agent = this.chosen.agent as string;
    return valid;
  }

  /** The model that answers now. */
  get model(): Model | undefined {
    const { models, defaultModel } = this.offer;
    return models.find(({ id }) => id === this.chosen.model) ?? models.find(({ id }) => id === defaultModel);
  }

  get agent(): Agent | undefined {
    const { agents, defaultAgent } = this.offer;
    return agents.find(({ id }) => id === this.chosen.agent) ?? agents.find(({ id }) => id === defaultAgent);
  }
}
