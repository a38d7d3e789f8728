import { describe, expect, it } from 'vitest';
import { lasting, share, size } from './words';

describe('words for what is measured', () => {
  it('has the two largest units of a duration', () => {
    expect(lasting(850)).toBe('850 ms');
    expect(lasting(59_999)).toBe('59 sec');
    expect(lasting(60_000)).toBe('1 min');
    expect(lasting(3 * 3_600_000 + 20 * 60_000)).toBe('3 hr 20 min');
    expect(lasting(3 * 3_600_000)).toBe('3 hr');
    expect(lasting(52 * 3_600_000)).toBe('2 days 4 hr');
    expect(lasting(-5)).toBe('0 ms');
  });

  it('has shares of a processor and sizes', () => {
    expect(share(12)).toBe('1.2%');
    expect(share(1500)).toBe('150%');
    expect(size(1536.4)).toBe('2 KiB');
  });
});
