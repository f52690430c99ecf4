/** Runs before the first paint, so that nobody who prefers light sees a dark flash. A file: inline scripts are refused. */

import { applyTheme, chosenTheme } from "./app/theme-choice.ts";

applyTheme(chosenTheme());
