import { fireEvent, render, screen } from '@testing-library/svelte';
import { describe, expect, it, vi } from 'vitest';
import Confirm from './Confirm.svelte';

const shown = (done: (choice: string | null) => void, choices: string[] = []) => render(Confirm, {
  title: (choice) => `Replace with ${choice}?`, choices, choosing: 'New one', cuts: (choice) => [`${choice} cuts \`this\`.`], go: 'Do it', done,
});

describe('a question before something is cut', () => {
  it('names what is cut by what is chosen', async () => {
    shown(() => {}, ['a', 'b']);
    expect(screen.getByText('Replace with a?')).toBeTruthy();
    await fireEvent.change(screen.getByLabelText('New one'), { target: { value: 'b' } });
    expect(screen.getByText('Replace with b?')).toBeTruthy();
    expect(screen.getByRole('listitem', { hidden: true }).textContent).toBe('b cuts this.');
  });

  it('does nothing in the moment it is asked', async () => {
    const done = vi.fn();
    shown(done);
    const button = screen.getByText('Do it');
    expect(button).toHaveProperty('disabled', true);
    await fireEvent.click(button, { detail: 1 });
    screen.getByRole<HTMLDialogElement>('dialog', { hidden: true }).dispatchEvent(new Event('close'));
    expect(done.mock.calls).toEqual([[null]]);
  });
});
