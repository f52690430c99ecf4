import { useMedia } from "../ui/media.ts";

const NARROW = "(max-width: 640px)";
const WIDE = "(min-width: 1080px)";

/** Return whether the page is as wide as a phone. */
export function useNarrow(): boolean {
  return useMedia(NARROW);
}

/** Return whether two panes have room beside each other. */
export function useWide(): boolean {
  return useMedia(WIDE);
}
