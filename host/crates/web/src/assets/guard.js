// One press is one act.

// A held key presses a button once, and a form is sent once.
export function once() {
  document.addEventListener('keydown', (event) => {
    if (!event.repeat || (event.key !== 'Enter' && event.key !== ' ')) return;
    const at = event.target;
    const presses = at.closest?.('button, summary, a, [type=radio], [type=checkbox]');
    if (presses || (event.key === 'Enter' && at.matches?.('input, select'))) event.preventDefault();
  }, true);
  const sent = new WeakSet();
  document.addEventListener('submit', (event) => {
    if (event.defaultPrevented || event.target.method === 'dialog') return;
    if (sent.has(event.target)) return event.preventDefault();
    sent.add(event.target);
    // The answer may be a page that stays, such as a download or an error of the network.
    setTimeout(() => sent.delete(event.target), 5000);
  });
}
