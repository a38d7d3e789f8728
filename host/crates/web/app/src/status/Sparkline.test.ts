import { render, screen } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import Sparkline from './Sparkline.svelte';

const words = (value: number) => `${value} MiB`;
const points = (...values: (number | null)[]) => values.map((value, n) => ({ at: n * 60_000, value }));

describe('a small graph', () => {
  it('is told in words', () => {
    render(Sparkline, { name: 'Memory', points: points(10, null, 30, 20), words });
    expect(screen.getByRole('img', { name: 'Memory in the last 3 min: between 10 MiB and 30 MiB.' }).querySelector('path')?.getAttribute('d')).toMatch(/^M0\.0 .*M66\.7 0\.0L100\.0/);
  });

  it('is not drawn where little is known', () => {
    render(Sparkline, { name: 'Memory', points: points(10, null, 30), words });
    expect(screen.queryByRole('img')).toBeNull();
  });
});
