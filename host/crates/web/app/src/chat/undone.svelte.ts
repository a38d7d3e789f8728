// What was undone in this tab, so that the chat can say it: the host only tells from which message on.

export interface Undone {
  session: string;
  message: string;
  /** The message of the user. */
  text: string;
  /** How many later messages of the user went with it. */
  later: number;
}

class UndoneHere {
  what = $state.raw<Undone | null>(null);
}

export const undone = new UndoneHere();
