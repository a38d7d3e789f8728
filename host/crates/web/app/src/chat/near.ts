// What is far from what is seen is not drawn: a message is an empty box until it comes near. What was drawn once stays, so that
// nothing that was opened in it closes.

/** As far above and below what is seen is drawn. */
const MARGIN = 3_000;
const observers = new WeakMap<Element, IntersectionObserver>();
const waiting = new WeakMap<Element, () => void>();

function observer(root: Element): IntersectionObserver {
  let one = observers.get(root);
  if (!one) {
    one = new IntersectionObserver((entries, self) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        self.unobserve(target);
        waiting.get(target)?.();
        waiting.delete(target);
      }
    }, { root, rootMargin: `${MARGIN}px 0px` });
    observers.set(root, one);
  }
  return one;
}

/** Calls `come` once, as soon as the element is near what is seen of the box that scrolls. The answer ends that. */
export function whenNear(node: HTMLElement, come: () => void): () => void {
  const root = node.closest('.scroll');
  if (!root) {
    come();
    return () => {};
  }
  waiting.set(node, come);
  observer(root).observe(node);
  return () => {
    waiting.delete(node);
    observers.get(root)?.unobserve(node);
  };
}
