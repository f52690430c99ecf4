import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const client = fileURLToPath(new URL("../../../libs/client-js/src", import.meta.url));

// The client's source, as the build takes it: nothing has to be built before its tests.
export default defineConfig({
  resolve: {
    alias: [
      { find: /^@holdfast\/client$/, replacement: `${client}/index.ts` },
      { find: /^@holdfast\/client\/(.*)$/, replacement: `${client}/$1/index.ts` },
    ],
  },
  test: {
    environment: "happy-dom",
    include: ["tests/**/*.test.{ts,tsx}"],
    setupFiles: ["tests/setup.ts"],
    restoreMocks: true,
    // A form with thirty fields is drawn at every key: a second on a quiet machine, several on one that runs all tests.
    testTimeout: 30_000,
  },
});
