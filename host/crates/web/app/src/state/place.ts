// What the host wrote into the page that it served: where it is, and the limits that it has.

interface Place {
  /** The path under which Nexus is served, without a slash at its end: empty, or `/nexus`. */
  base: string;
  /** The folder of the files of this build. */
  assets: string;
  account: string;
  /** The configured project folder. */
  workspace: string;
  /** How many bytes the text of a prompt may have. */
  longestPrompt: number;
}

const data = document.documentElement.dataset;

export const place: Place = {
  base: data['base'] ?? '',
  assets: data['assets'] ?? '',
  account: data['account'] ?? '',
  workspace: data['workspace'] ?? '',
  longestPrompt: Number(data['longestPrompt'] ?? 524_288),
};
