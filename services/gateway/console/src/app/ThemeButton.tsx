import { IconButton } from "../ui/Button.tsx";
import { Icon, type IconName } from "../ui/Icon.tsx";
import { useTheme } from "./theme.ts";
import type { ThemeChoice } from "./theme-choice.ts";

const NEXT: Readonly<Record<ThemeChoice, ThemeChoice>> = { auto: "dark", dark: "light", light: "auto" };
const ICONS: Readonly<Record<ThemeChoice, IconName>> = { auto: "auto", dark: "moon", light: "sun" };
const WORDS: Readonly<Record<ThemeChoice, string>> = { auto: "as the system", dark: "dark", light: "light" };

/** Changes the theme: as the system, dark, light. */
export function ThemeButton() {
  const [choice, choose] = useTheme();
  return (
    <IconButton
      size="sm"
      label={`Theme: ${WORDS[choice]}. Change to ${WORDS[NEXT[choice]]}`}
      onClick={() => choose(NEXT[choice])}
    >
      <Icon name={ICONS[choice]} />
    </IconButton>
  );
}
