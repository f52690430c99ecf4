/**
 * Folds histories for a test in another language: one JSON array of events per line in, its state's JSON per line out.
 *
 * Each history is folded twice, at once and with the state going through its JSON some twenty times on the
 * way; a line on which the two differ is answered with null.
 */
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { build } from "esbuild";

const built = await build({
  entryPoints: [fileURLToPath(new URL("../src/fold/index.ts", import.meta.url))],
  bundle: true,
  format: "esm",
  target: "es2022",
  write: false,
});
const source = Buffer.from(built.outputFiles[0].contents).toString("base64");
const { apply, emptyState, fold, fromPlain, toPlain } = await import(`data:text/javascript;base64,${source}`);

// By hand: readline ends a line at U+2028 too, which an event may hold.
async function* lines(input) {
  let rest = "";
  for await (const chunk of input.setEncoding("utf8")) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop();
    yield* parts;
  }
}

for await (const line of lines(process.stdin)) {
  const events = JSON.parse(line);
  const whole = toPlain(fold(events));
  const stride = Math.max(3, Math.ceil(events.length / 20));
  let state = emptyState();
  for (const [n, event] of events.entries()) {
    if (n % stride === 2) state = fromPlain(JSON.parse(JSON.stringify(state)));
    apply(state, event);
  }
  const same = isDeepStrictEqual(toPlain(state), whole);
  process.stdout.write(`${JSON.stringify(same ? whole : null)}\n`);
}
