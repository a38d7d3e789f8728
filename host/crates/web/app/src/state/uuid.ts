/** crypto.randomUUID exists on TLS and localhost only; a plain tunnel has neither. */
export const uuid = (): string => crypto.randomUUID?.()
  ?? Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
