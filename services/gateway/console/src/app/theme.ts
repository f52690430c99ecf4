import { useCallback, useEffect, useState } from "react";
import { applyTheme, chosenTheme, keepTheme, systemIsLight, type ThemeChoice } from "./theme-choice.ts";

/** The choice of a theme, and what changes and keeps it. */
export function useTheme(): [ThemeChoice, (choice: ThemeChoice) => void] {
  const [choice, setChoice] = useState(chosenTheme);
  useEffect(() => {
    applyTheme(choice);
    const system = systemIsLight();
    const changed = () => applyTheme(choice);
    system.addEventListener("change", changed);
    return () => system.removeEventListener("change", changed);
  }, [choice]);
  const choose = useCallback((next: ThemeChoice) => {
    keepTheme(next);
    setChoice(next);
  }, []);
  return [choice, choose];
}
