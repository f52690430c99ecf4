/** What a screen reader is told without being moved: the last of what happened, once in a while. */

import { createContext, type ReactNode, useCallback, useContext, useEffect, useRef, useState } from "react";
import { visible } from "../ui/visible.ts";

// Tokens come at a hundred a second and a sentence takes some seconds to be read: of what happens in between, the last.
export const ANNOUNCE_EVERY_MS = 2_000;

const Announce = createContext<(text: string) => void>(() => undefined);

/** Return what says a sentence to screen readers; called too often, only the last of the sentences is said. */
export function useAnnounce(): (text: string) => void {
  return useContext(Announce);
}

/** Hold the live region of the page. */
export function Announcer({ children }: { readonly children: ReactNode }) {
  const [said, setSaid] = useState("");
  const waiting = useRef<string | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);

  const announce = useCallback((text: string) => {
    if (timer.current !== null) {
      waiting.current = text;
      return;
    }
    setSaid(text);
    const next = () => {
      timer.current = null;
      if (waiting.current === null) return;
      setSaid(waiting.current);
      waiting.current = null;
      timer.current = setTimeout(next, ANNOUNCE_EVERY_MS);
    };
    timer.current = setTimeout(next, ANNOUNCE_EVERY_MS);
  }, []);

  useEffect(
    () => () => {
      if (timer.current !== null) clearTimeout(timer.current);
      timer.current = null;
    },
    [],
  );

  return (
    <Announce value={announce}>
      {children}
      <div className="visually-hidden" role="status" aria-live="polite">
        {visible(said)}
      </div>
    </Announce>
  );
}
