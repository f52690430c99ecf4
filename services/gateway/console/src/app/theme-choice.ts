/** Dark or light: what the system says, unless one of them was chosen here. No React: it runs before the first paint. */

export const THEME_KEY = "holdfast:theme";

export type ThemeChoice = "auto" | "dark" | "light";

/** Return the query that tells whether the system is light. */
export const systemIsLight = (): MediaQueryList => matchMedia("(prefers-color-scheme: light)");

/** Return what was chosen. Where a browser keeps nothing for us, nothing was. */
export function chosenTheme(): ThemeChoice {
  try {
    const kept = localStorage.getItem(THEME_KEY);
    return kept === "dark" || kept === "light" ? kept : "auto";
  } catch {
    return "auto";
  }
}

/** Keep a choice for the next time. */
export function keepTheme(choice: ThemeChoice): void {
  try {
    if (choice === "auto") localStorage.removeItem(THEME_KEY);
    else localStorage.setItem(THEME_KEY, choice);
  } catch {
    // It holds until the page is left.
  }
}

/** Show a choice. */
export function applyTheme(choice: ThemeChoice): void {
  const theme = choice === "auto" ? (systemIsLight().matches ? "light" : "dark") : choice;
  document.documentElement.dataset.theme = theme;
}
