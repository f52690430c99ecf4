import type { State } from "@holdfast/client/fold";
import { createContext, useContext } from "react";

/** How many colours there are to tell agents apart. */
export const COLOURS = 8;

/** Return every agent's colour, by name: in the order in which they appeared, the same in every part of the page. */
export function coloursOf(agents: State["agents"]): ReadonlyMap<string, number> {
  const colours = new Map<string, number>();
  for (const { name } of agents) if (!colours.has(name)) colours.set(name, colours.size % COLOURS);
  return colours;
}

/** Whose colours they are is the page's to say. */
export const Colours = createContext<ReadonlyMap<string, number>>(new Map());

/** Return an agent's colour; names that are no agent's have none. */
export function useColour(name: string): string {
  const colour = useContext(Colours).get(name);
  return colour === undefined ? "var(--text-faint)" : `var(--lane-${colour + 1})`;
}
