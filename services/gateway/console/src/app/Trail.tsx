import { type ReactNode, useEffect, useState } from "react";
import { createPortal } from "react-dom";

/** Puts where one is into the bar at the top, after the brand. */
export function Trail({ children }: { readonly children: ReactNode }) {
  const [place, setPlace] = useState<HTMLElement | null>(null);
  useEffect(() => setPlace(document.getElementById("topbar-trail")), []);
  return place && createPortal(children, place);
}
