import type { ViteUserConfig } from "vitest/config";

// Two projects: `fast` runs in seconds and belongs to `npm run check`; `slow` starts real processes.
const config: ViteUserConfig = {
  test: {
    testTimeout: 20_000,
    hookTimeout: 20_000,
    projects: [
      {
        extends: true,
        test: { name: "fast", include: ["test/**/*.test.ts"], exclude: ["test/**/*.slow.test.ts"] },
      },
      {
        extends: true,
        test: {
          name: "slow",
          include: ["test/**/*.slow.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
    coverage: { provider: "v8", include: ["src/**", "adapters/**"] },
  },
};

export default config;
