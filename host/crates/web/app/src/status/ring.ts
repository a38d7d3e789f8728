// What was measured while the page is open: the newest values of everything that is counted, and no more than a few minutes of them.

/** How many measurements are kept: ten minutes of one each five seconds. */
export const KEPT = 120;
/** Two measurements are at least so far apart, in milliseconds: a rate over less says nothing. */
export const APART = 2_000;

export interface Measurement {
  /** When it was measured, in milliseconds. */
  readonly at: number;
  readonly values: Readonly<Record<string, number>>;
}

/** The measurements with one more, which is left out where it comes too soon. */
export function withNext(all: readonly Measurement[], next: Measurement): readonly Measurement[] {
  const last = all.at(-1);
  if (last && next.at - last.at < APART) return all;
  return [...all.slice(-(KEPT - 1)), next];
}

/** What one graph draws. Null: it was not measured then. */
export interface Point {
  readonly at: number;
  readonly value: number | null;
}

/** The values of one name. */
export const gauge = (all: readonly Measurement[], name: string): Point[] =>
  all.map(({ at, values }) => ({ at, value: values[name] ?? null }));

/** How much a counter grew, each second. One that began again is a gap. */
export function rate(all: readonly Measurement[], name: string): Point[] {
  return all.slice(1).map(({ at, values }, n) => {
    const before = all[n];
    const now = values[name];
    const was = before?.values[name];
    const known = before && now !== undefined && was !== undefined && now >= was && at > before.at;
    return { at, value: known ? ((now - was) * 1000) / (at - before.at) : null };
  });
}

/** The newest value that is known. */
export const newest = (points: readonly Point[]): number | null => points.findLast(({ value }) => value !== null)?.value ?? null;

/** The line of a graph as the path of an SVG of `width` × `height`; zero is its lowest line. A gap is no line. */
export function line(points: readonly Point[], width: number, height: number): string {
  const first = points[0]?.at ?? 0;
  const span = (points.at(-1)?.at ?? 0) - first;
  const most = Math.max(...points.map(({ value }) => value ?? 0));
  let drawing = false;
  const steps = points.flatMap(({ at, value }) => {
    const goes = drawing;
    drawing = value !== null;
    if (value === null) return [];
    const x = span > 0 ? ((at - first) / span) * width : width;
    const y = most > 0 ? height - (value / most) * height : height;
    return [`${goes ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`];
  });
  return steps.join('');
}
