import { expect, it } from "vitest";
import { readList } from "../../src/coze/paging.ts";

it("a list that never ends is left after 2,000 pages; what came until then stays", async () => {
  let loaded = 0;
  const list = readList<number, number>(1, {
    load: async (at) => {
      loaded += 1;
      return { items: [at], next: at + 1 };
    },
    toId: String,
    call: "GET /v1/things",
  });
  let read = 0;
  const readAll = async (): Promise<void> => {
    for await (const item of list) read = item;
  };
  await expect(readAll()).rejects.toMatchObject({
    code: "COZE_FAILED",
    message: "Coze GET /v1/things: more than 2000 pages; the list was left there, read it again later",
  });
  expect([read, loaded]).toEqual([2_000, 2_000]);
});

it("an empty page in between does not end a list that says there is more", async () => {
  const pages = new Map([
    [1, { items: ["a"], next: 2 }],
    [2, { items: [], next: 3 }],
    [3, { items: [], next: 4 }],
    [4, { items: ["b"], next: undefined }],
  ]);
  const list = readList<string, number>(1, {
    load: async (at) => pages.get(at) ?? { items: [], next: undefined },
    toId: String,
    call: "GET /v1/things",
  });
  expect(await Array.fromAsync(list)).toEqual(["a", "b"]);
});
