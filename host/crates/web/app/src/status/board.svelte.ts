// The status as the host last told it, and what was measured while the page is open.

import { ApiError, call } from '../api/rest';
import type { Note, PluginDetails, Status } from '../api/types';
import { t } from '../i18n/texts.svelte';
import { measured } from './measured';
import { withNext, type Measurement } from './ring';

class Board {
  status = $state.raw<Status | null>(null);
  details = $state.raw<readonly PluginDetails[]>([]);
  activity = $state.raw<readonly Note[]>([]);
  measurements = $state.raw<readonly Measurement[]>([]);
  /** Why the status could not be read. */
  wrong = $state<string | null>(null);
  #reading = false;
  #again = false;

  /** Reads all of it. What changes meanwhile is read after that, once. */
  async refresh(): Promise<void> {
    this.#again = true;
    if (this.#reading) return;
    this.#reading = true;
    while (this.#again) {
      this.#again = false;
      await this.#read();
    }
    this.#reading = false;
  }

  async #read(): Promise<void> {
    try {
      const [status, details, activity] = await Promise.all([
        call<Status>('/status'), call<readonly PluginDetails[]>('/plugins/details'), call<readonly Note[]>('/activity'),
      ]);
      this.status = status;
      this.details = details;
      this.activity = activity;
      this.measurements = withNext(this.measurements, measured(status, details));
      this.wrong = null;
    } catch (error) {
      this.wrong = t('status.notRead', error instanceof ApiError ? error.message : String(error));
    }
  }

  /** Does something, and says why it was not done. */
  async act(path: string, body?: unknown): Promise<string | null> {
    try {
      await call(path, { method: 'POST', ...(body === undefined ? {} : { body }) });
      return null;
    } catch (error) {
      if (!(error instanceof ApiError)) return String(error);
      return error.status === 0 ? t('confirm.noAnswer') : error.message;
    } finally {
      void this.refresh();
    }
  }
}

export const board = new Board();
