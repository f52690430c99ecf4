/**
 * Builds the console into the gateway's package: one script, one stylesheet, one icon, named after what is in them,
 * and the page that names them. The same source makes the same bytes, so that a check can compare them.
 *
 *     node scripts/build.mjs            write the assets
 *     node scripts/build.mjs --check    build in memory and compare; exit 1 when they differ
 *     node scripts/build.mjs --watch    write them again at every change, unminified
 */

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const HERE = join(dirname(fileURLToPath(import.meta.url)), "..");
const ASSETS = join(HERE, "../holdfast/gateway/console/assets");

// Where the gateway serves them: the page is the answer at any depth under /console, so they are named absolutely.
const BASE = "/console/assets/";

const [mode] = process.argv.slice(2);
if (mode === "--watch") await watch();
else if (mode === "--check") await check();
else await write(ASSETS, await build(await bundle(false)));

function bundle(dev) {
  return esbuild.build(options(dev));
}

function options(dev) {
  return {
    absWorkingDir: HERE,
    entryPoints: { console: "src/main.tsx", theme: "src/theme-early.ts" },
    outdir: "out",
    bundle: true,
    write: false,
    format: "esm",
    splitting: false,
    // The oldest with all that is used: popovers, and signals that are joined.
    target: ["chrome116", "firefox125", "safari17.4"],
    minify: !dev,
    sourcemap: dev ? "inline" : false,
    charset: "utf8",
    // The licences of what is bundled want their notice kept.
    legalComments: "eof",
    loader: { ".svg": "text" },
    // React's development build is three times as large and warns of nothing a visitor could mend.
    define: { "process.env.NODE_ENV": dev ? '"development"' : '"production"' },
    logLevel: "warning",
  };
}

/** Return every file of the assets, by name. */
async function build(result) {
  const files = new Map();
  const names = {};
  const add = (name, content) => {
    const extension = extname(name);
    const hash = createHash("sha256").update(content).digest("hex").slice(0, 12);
    const hashed = `${basename(name, extension)}-${hash}${extension}`;
    files.set(hashed, content);
    return BASE + hashed;
  };
  for (const { path, contents } of result.outputFiles) {
    const name = basename(path);
    // A bundle without imports and exports is a plain script as well: `theme.js` runs as one, before the first paint.
    if (name === "console.js") names.script = add("console.js", contents);
    else if (name === "console.css") names.style = add("console.css", contents);
    else if (name === "theme.js") names.theme = add("theme.js", contents);
  }
  names.icon = add("icon.svg", await readFile(join(HERE, "public/icon.svg")));
  const page = await readFile(join(HERE, "public/index.html"), "utf8");
  const filled = page.replace(/\{\{(\w+)\}\}/g, (_, name) => {
    if (!names[name]) throw new Error(`the page names ${name}, which the build did not make`);
    return names[name];
  });
  files.set("index.html", Buffer.from(filled));
  return files;
}

async function write(directory, files) {
  await mkdir(directory, { recursive: true });
  // New files first: who loads the page in between finds all that it names.
  for (const [name, content] of files) {
    if (name !== "index.html") await writeFile(join(directory, name), content);
  }
  await writeFile(join(directory, "index.html"), files.get("index.html"));
  for (const name of await readdir(directory)) {
    if (!files.has(name)) await rm(join(directory, name));
  }
  const sizes = [...files].map(([name, content]) => `${name} ${(content.length / 1024).toFixed(1)} kB`);
  console.log(sizes.join("\n"));
}

async function check() {
  const files = await build(await bundle(false));
  const found = new Set(await readdir(ASSETS).catch(() => []));
  const differing = [];
  for (const [name, content] of files) {
    if (!found.delete(name) || !(await readFile(join(ASSETS, name))).equals(Buffer.from(content))) {
      differing.push(name);
    }
  }
  differing.push(...found);
  if (differing.length > 0) {
    console.error(`the console's assets are not what its source makes: ${differing.sort().join(", ")}`);
    process.exitCode = 1;
  } else {
    console.log(`the console's ${files.size} assets are what its source makes`);
  }
}

async function watch() {
  const context = await esbuild.context({
    ...options(true),
    plugins: [
      {
        name: "write",
        setup(build_) {
          build_.onEnd(async (result) => {
            if (result.errors.length === 0) await write(ASSETS, await build(result));
          });
        },
      },
    ],
  });
  await context.watch();
}
