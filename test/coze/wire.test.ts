import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseCozeJson } from "../../src/coze/json.ts";
import { messageSchema, readStreamMessage } from "../../src/coze/wire/chats.ts";

/** Anything a field may hold: what it should, null, nothing, or something else altogether. */
const anything = fc.oneof(
  { arbitrary: fc.constantFrom("", "answer", "7391000000000000100"), weight: 3 },
  { arbitrary: fc.string(), weight: 3 },
  fc.constantFrom(null, undefined, 0, 7, 1.5, 1e300, Number.POSITIVE_INFINITY, true),
  fc.jsonValue(),
);

/** The fields a stream's reader takes no notice of, as the schema accepts them. */
const others = fc.record(
  {
    chat_id: fc.constantFrom("7", null, 7),
    role: fc.constantFrom("assistant", null),
    meta_data: fc.constantFrom({ key: "value" }, null, 7),
    created_at: fc.constantFrom(1_718_792_949, "1718792949", null),
    unknown: fc.jsonValue(),
  },
  { requiredKeys: [] },
);

const read = fc.record(
  {
    id: anything,
    type: anything,
    content: anything,
    content_type: anything,
    reasoning_content: anything,
  },
  { requiredKeys: [] },
);

describe("§22.13 and §22.42 a message in a stream", () => {
  it("is read as its schema says, whatever its fields hold", () => {
    const examine = (value: unknown): void => {
      const { data: message } = messageSchema.safeParse(value);
      const { id, type, content, content_type, reasoning_content } = message ?? {};
      const wanted = { id, type, content, content_type, reasoning_content };
      expect(readStreamMessage(value)).toEqual(message === undefined ? undefined : wanted);
    };
    const messages = fc.tuple(read, others).map(([fields, rest]) => ({ ...rest, ...fields }));
    fc.assert(fc.property(fc.oneof({ arbitrary: messages, weight: 9 }, fc.jsonValue()), examine), {
      numRuns: 2_000,
    });
  });
});

/** JSON as a text, with numbers as nobody in JS would write them. */
const { json } = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small" },
    fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }).map(String),
    fc.constantFrom(
      "9007199254740991",
      "9007199254740992",
      "-9007199254740993",
      "0.1",
      "1e400",
      "12345678901234567.5",
    ),
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc.array(tie("json"), { maxLength: 4 }).map((items) => `[${items.join(" ,\n")}]`),
    fc
      .dictionary(fc.string(), tie("json"), { maxKeys: 4 })
      .map((items) => `{${Object.entries(items).map(([key, value]) => `${JSON.stringify(key)}: ${value}`)}}`),
  ),
}));

describe("§22.42 numbers longer than JS takes", () => {
  it("stay as their digits, wherever they stand, and nothing else changes", () => {
    /** Each number is asked, as the source has it. */
    const exact = (_key: string, value: unknown, context?: { source?: string }): unknown =>
      typeof value === "number" && /^-?\d+$/.test(context?.source ?? "") && !Number.isSafeInteger(value)
        ? context?.source
        : value;
    const examine = (text: string): void => {
      expect(parseCozeJson(text)).toEqual(JSON.parse(text, exact));
    };
    fc.assert(fc.property(json, examine), { numRuns: 2_000 });
  });
});
