import { expect, it } from "vitest";
import { redactTurn } from "../../src/control/redact-turn.ts";
import { toPayload } from "../../src/queue/turn-payload.ts";
import { openSealer } from "../../src/store/sealer.ts";
import { aTurn } from "../make.ts";

it("shows a turn without sealed tokens, signed addresses and what looks like a token", async () => {
  const sealer = await openSealer({ key: "k".repeat(32) });
  const sealed = sealer.seal("an interaction token", Date.now() + 60_000);
  const url = "https://cdn.example/files/a.png?ex=1&is=2&hm=3#part";
  const turn = aTurn({
    address: { channel: "42", token: sealed, note: `sent to ${sealed}` },
    attachments: [{ id: "1", name: "a.png", url }],
    text: `my key is ${"xoxb-"}1-2-abc, see ${url}`,
  });
  const shown = JSON.stringify(redactTurn(toPayload(turn), { text: true }));
  expect(shown).not.toMatch(/s1\.|hm=3|1-2-abc|#part/);
  expect(shown).toContain("https://cdn.example/files/a.png?[hidden]");
  expect(shown).toContain('"channel":"42","token":"[sealed]"');
});

it("cuts what was written to a preview unless it was asked for", () => {
  const payload = toPayload(aTurn({ text: "😀".repeat(500) }));
  expect(redactTurn(payload, { text: false })).toMatchObject({
    text: `${"😀".repeat(120)}… (380 more characters)`,
  });
  expect(redactTurn(payload, { text: true })).toMatchObject({ text: "😀".repeat(500) });
});

it("shows what is no turn of this version", () => {
  expect(redactTurn({ v: 99, list: [null, true, 3, "x"] }, { text: false })).toEqual({
    v: 99,
    list: [null, true, 3, "x"],
  });
});
