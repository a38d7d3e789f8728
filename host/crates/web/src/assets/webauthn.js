// Asks an authenticator for what the page says, and sends what it answers with the form of the button.

const KINDS = {
  create: (options, signal) => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options), signal }),
  get: (options, signal) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options), signal }),
};

const WHY = {
  NotAllowedError: 'It was canceled, or it took too long. Try again.',
  InvalidStateError: 'This passkey is registered already.',
  SecurityError: 'Passkeys do not work at this address. They need https, or localhost.',
};

export function start(button) {
  const { form } = button, state = document.getElementById('passkey-state');
  let asked = null;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    if (!globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON) {
      state.textContent = 'This browser does not support passkeys at this address. They need https, or localhost.';
      return;
    }
    state.textContent = 'Waiting for your passkey…';
    try {
      const credential = await KINDS[button.dataset.ceremony](JSON.parse(button.dataset.options), signal);
      form.elements.credential.value = JSON.stringify(credential.toJSON());
      state.textContent = 'Checking…';
      HTMLFormElement.prototype.submit.call(form);
    } catch (error) {
      if (!signal.aborted) state.textContent = WHY[error.name] ?? `This did not work: ${error.message}`;
    }
  });
}
