/** Where the focus goes when what had it is gone: the message box, or the messages where there is none. */
export function focusComposer(): void {
  const box = document.getElementById('prompt');
  (box?.offsetParent ? box : document.getElementById('scroll'))?.focus();
}
