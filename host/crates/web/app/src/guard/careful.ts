// A button that is not to be pressed in the moment it appears.

import { Settling } from './settling';

export function careful(button: HTMLButtonElement) {
  const draw = () => {
    // To take the focus away would be worse.
    if (settling.settled || !button.matches(':focus-visible')) button.disabled = !settling.settled;
  };
  const settling: Settling = new Settling(() => (button.isConnected ? button : null), () => draw());
  const guard = (event: MouseEvent) => {
    if (event.detail < 2 && settling.allows(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  button.addEventListener('click', guard, true);
  draw();
  return {
    destroy() {
      settling.stop();
      button.removeEventListener('click', guard, true);
    },
  };
}
