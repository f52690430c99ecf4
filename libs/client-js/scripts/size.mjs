/** Measures what each entry costs a page: with everything that it imports but React, minified, and compressed. */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { entries, PACKAGE } from "./entries.mjs";

/** The promise of the README for `@holdfast/client`; the others are shown. */
const MAIN_BYTES_MAX = 6_000;

let main = 0;
for (const { name, source } of entries()) {
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(PACKAGE),
    entryPoints: [source],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    jsx: "automatic",
    external: ["react", "react/jsx-runtime"],
    write: false,
  });
  const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length;
  if (name === "@holdfast/client") main = bytes;
  if (!process.argv.includes("--quiet")) console.log(`${name.padEnd(24)} ${bytes.toLocaleString("en")} bytes`);
}
if (main >= MAIN_BYTES_MAX) {
  console.error(`@holdfast/client has ${main} bytes; it is to have fewer than ${MAIN_BYTES_MAX}`);
  process.exit(1);
}
