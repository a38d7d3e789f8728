// How much a model takes in all, for each model of the backend: asked for once for each backend and project folder.

import { call } from '../api/rest';
import type { Model } from '../api/types';

class ContextSizes {
  #sizes = $state.raw<ReadonlyMap<string, number>>(new Map());
  #of = '';

  async load(plugin: string, workspace: string | null): Promise<void> {
    const of = JSON.stringify([plugin, workspace]);
    if (of === this.#of) return;
    this.#of = of;
    try {
      const { models } = await call<{ models: readonly Model[] }>('/backend/models', { query: workspace ? { workspace } : {} });
      if (of !== this.#of) return;
      this.#sizes = new Map(models.flatMap(({ id, context_tokens }) => (context_tokens ? [[id, context_tokens] as const] : [])));
    } catch {
      this.#of = '';
    }
  }

  /** Null: it is not known. */
  size(model: string | undefined): number | null {
    return model === undefined ? null : this.#sizes.get(model) ?? null;
  }
}

export const contextSizes = new ContextSizes();
