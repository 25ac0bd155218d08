import type { ViteUserConfig } from "vitest/config";

// Two projects: `fast` belongs to `npm run check` and stays under a minute with it; `slow` starts real processes or goes
// through whole matrices.
const config: ViteUserConfig = {
  test: {
    // Long enough for a machine that is busy with something else: no test is about how fast something is.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: "fast",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.slow.test.ts"],
          // The SDKs are loaded once in a worker instead of once in a file: a third of the time was that. No module
          // of ours keeps state of its own (style: objects are made and disposed of), so files cannot meet in one.
          isolate: false,
        },
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
