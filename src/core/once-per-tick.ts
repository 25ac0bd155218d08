/**
 * Calls at the end of the current turn of the event loop, once, however often it is asked to in that turn: what one packet
 * brought is shown together.
 */
export function oncePerTick(call: () => void): () => void {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    setImmediate(() => {
      isAsked = false;
      call();
    });
  };
}
