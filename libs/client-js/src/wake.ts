/**
 * Tells when the network or the page came back: timers may have slept for hours, and a socket may be dead without a
 * sign. Returns what takes the listeners away again. Does nothing where there are no such events.
 */
export function onWake(run: () => void): () => void {
  const target: Partial<EventTarget> = globalThis;
  const page = globalThis.document as Document | undefined;
  const visible = () => {
    if (page?.visibilityState === "visible") run();
  };
  const shown = (event: Event) => {
    if ((event as PageTransitionEvent).persisted) run();
  };
  target.addEventListener?.("online", run);
  target.addEventListener?.("pageshow", shown);
  page?.addEventListener("visibilitychange", visible);
  return () => {
    target.removeEventListener?.("online", run);
    target.removeEventListener?.("pageshow", shown);
    page?.removeEventListener("visibilitychange", visible);
  };
}
