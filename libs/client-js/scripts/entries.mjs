/** The package's entry points, as its `exports` name them. */
import { existsSync, readFileSync } from "node:fs";

export const PACKAGE = new URL("..", import.meta.url);

/** Each with its name for users, its source, and its place within `dist`. */
export function entries() {
  const { exports } = JSON.parse(readFileSync(new URL("package.json", PACKAGE), "utf8"));
  return Object.entries(exports)
    .filter(([, target]) => typeof target === "object")
    .map(([name, target]) => ({
      name: name.replace(".", "@holdfast/client"),
      source: target["holdfast-source"],
      target: target.default.replace("./dist/", ""),
    }))
    .filter(({ source }) => existsSync(new URL(source, PACKAGE)));
}
