/** Builds `dist/`: one ES module per entry, what they share in chunks, and the types beside them. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { entries, PACKAGE } from "./entries.mjs";

process.chdir(fileURLToPath(PACKAGE));
rmSync("dist", { recursive: true, force: true });
await build({
  entryPoints: Object.fromEntries(entries().map(({ source, target }) => [target.replace(/\.js$/, ""), source])),
  outdir: "dist",
  chunkNames: "shared/[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  external: ["react", "react/jsx-runtime"],
  logLevel: "warning",
});
execFileSync("tsc", ["--project", "tsconfig.build.json"], { stdio: "inherit" });
