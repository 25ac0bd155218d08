import type { ViteUserConfig } from "vitest/config";

// Two projects: `fast` runs in seconds and belongs to `npm run check`; `slow` starts real processes.
const config: ViteUserConfig = {
  test: {
    // Long enough for a machine that is busy with something else: no test is about how fast something is.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
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
        },
      },
    ],
    coverage: { provider: "v8", include: ["src/**", "adapters/**"] },
  },
};

export default config;
