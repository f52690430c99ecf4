import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    environment: "node",
    // Clocks are fake here, so this is for a machine that has other things to do.
    testTimeout: 20_000,
  },
});
