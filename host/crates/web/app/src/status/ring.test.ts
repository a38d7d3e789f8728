import { describe, expect, it } from 'vitest';
import { APART, gauge, KEPT, line, newest, rate, withNext, type Point, type Measurement } from './ring';

const values = (points: Point[]) => points.map(({ value }) => value);
const of = (...all: [number, Record<string, number>][]): Measurement[] => all.map(([at, values]) => ({ at, values }));

describe('what is measured', () => {
  it('is bounded, and the newest is kept', () => {
    let all: readonly Measurement[] = [];
    for (let n = 0; n < KEPT * 3; n += 1) all = withNext(all, { at: n * APART, values: { n } });
    expect(all.length).toBe(KEPT);
    expect(all.at(-1)?.values['n']).toBe(KEPT * 3 - 1);
    expect(all[0]?.values['n']).toBe(KEPT * 2);
  });

  it('leaves out what comes too soon', () => {
    const all = withNext([], { at: 0, values: {} });
    expect(withNext(all, { at: APART - 1, values: {} })).toBe(all);
    expect(withNext(all, { at: APART, values: {} }).length).toBe(2);
  });

  it('is a gauge, with gaps', () => {
    expect(values(gauge(of([0, { a: 1 }], [5000, {}], [10_000, { a: 3 }]), 'a'))).toEqual([1, null, 3]);
  });

  it('is a rate each second; a counter that begins again is a gap', () => {
    expect(values(rate(of([0, { a: 0 }], [5000, { a: 10 }], [10_000, { a: 2 }], [12_000, { a: 2 }]), 'a'))).toEqual([2, null, 0]);
    expect(rate(of([0, { a: 0 }]), 'a')).toEqual([]);
    expect(values(rate(of([0, {}], [5000, { a: 10 }]), 'a'))).toEqual([null]);
  });

  it('is drawn from zero, with gaps where nothing is known', () => {
    const points = [{ at: 0, value: 0 }, { at: 5, value: 4 }, { at: 10, value: null }, { at: 20, value: 2 }];
    expect(line(points, 100, 20)).toBe('M0.0 20.0L25.0 0.0M100.0 10.0');
    expect(line([{ at: 7, value: 0 }], 100, 20)).toBe('M100.0 20.0');
    expect(line([], 100, 20)).toBe('');
    expect(newest([...points, { at: 30, value: null }])).toBe(2);
    expect(newest([])).toBeNull();
  });
});
