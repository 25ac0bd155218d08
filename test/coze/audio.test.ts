import { once } from "node:events";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { STAND_IN_VOICE } from "../../sandbox/coze/audio.ts";
import { STAND_IN_TOKEN } from "../../sandbox/coze/coze-stand-in.ts";
import type { ListVoicesOptions } from "../../src/coze/api/audio.ts";
import { type SpeechRequest, splitSpeech } from "../../src/coze/speech.ts";
import { aFile, type CozePair, errorOf, noAbort, openPair } from "./coze-kit.ts";
import { OPUS } from "./file-bytes.ts";

const signal = noAbort();
const SPEECH = "POST /v1/audio/speech";
const WAV_START = Buffer.from("524946460000000057415645", "hex");

function aSpeech(changes: Partial<SpeechRequest> = {}): SpeechRequest {
  return { text: "Hello", voiceId: STAND_IN_VOICE, ...changes };
}

async function speak({ client }: CozePair, request: SpeechRequest): Promise<Buffer> {
  const { audio } = await client.audio.speak(request, { signal });
  return buffer(audio);
}

describe("audio.speak", () => {
  it.each([
    ["mp3", "audio/mpeg", "494433"],
    ["wav", "audio/wav", "524946"],
    ["ogg_opus", "audio/ogg", "4f6767"],
    ["pcm", "audio/pcm", "000000"],
  ] as const)("gives %s as it comes", async (format, contentType, start) => {
    await using pair = await openPair();
    const { audio, ...told } = await pair.client.audio.speak(aSpeech({ format }), { signal });
    expect(told).toEqual({ format, contentType });
    const bytes = await buffer(audio);
    expect(bytes.toString("hex", 0, 3)).toBe(start);
    expect(bytes.length).toBeGreaterThanOrEqual(500);
  });

  it("says everything that was asked for, and mp3 by default", async () => {
    await using pair = await openPair();
    const all = { speed: 0.2, sampleRate: 48_000, loudness: -50, emotion: "happy", emotionScale: 5 };
    await speak(pair, aSpeech({ ...all, contextTexts: ["softly"] }));
    expect(pair.coze.traffic.exchanges.at(-1)?.request).toEqual({
      query: {},
      body: {
        input: "Hello",
        voice_id: STAND_IN_VOICE,
        speed: 0.2,
        sample_rate: 48_000,
        loudness_rate: -50,
        emotion: "happy",
        emotion_scale: 5,
        context_texts: ["softly"],
      },
    });
    expect((await pair.client.audio.speak(aSpeech(), { signal })).format).toBe("mp3");
  });

  it("§22.47 takes 1024 bytes, however many characters they are, and not one more", async () => {
    await using pair = await openPair();
    const longest = `${"界".repeat(341)}!`;
    expect(Buffer.byteLength(longest)).toBe(1024);
    expect(await speak(pair, aSpeech({ text: longest }))).toHaveLength(102_409);
    for (const text of [`${longest}!`, "界".repeat(342), "x".repeat(1025)]) {
      const error = await errorOf(speak(pair, aSpeech({ text })));
      expect(error).toMatchObject({ code: "COZE_BAD_REQUEST", cozeCode: undefined });
      expect(String(error)).toMatch(/has 102\d bytes of UTF-8; Coze speaks 1024 at once: split it/);
    }
    expect(pair.coze.traffic.exchanges).toHaveLength(1);
  });

  it.each([
    { text: "" },
    { text: " \n" },
    { speed: 0.1 },
    { speed: 3.1 },
    { speed: Number.NaN },
    { sampleRate: 11_025 },
    { loudness: -51 },
    { loudness: 101 },
    { emotionScale: 0 },
    { emotionScale: 6 },
  ])("refuses %j before anything is sent", async (changes) => {
    await using pair = await openPair();
    const error = await errorOf(speak(pair, aSpeech(changes)));
    expect(error).toMatchObject({ code: "COZE_BAD_REQUEST", outcome: "refused", cozeCode: undefined });
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it.each([
    [200, "application/json"],
    [200, "text/plain"],
    [400, "application/json"],
    [400, "audio/mpeg"],
  ])("§22.47 JSON with HTTP %i as %s is an error, not sound", async (status, type) => {
    await using pair = await openPair();
    const packets = ['{"code":4011,"msg":"balance","detail":{"logid":"L1"}}'];
    pair.coze.playNext({ status, headers: { "content-type": type }, packets }, SPEECH);
    const error = await errorOf(pair.client.audio.speak(aSpeech(), { signal }));
    expect(error).toMatchObject({
      code: "COZE_QUOTA",
      cozeCode: 4011,
      httpStatus: status,
      outcome: "refused",
    });
  });

  it("is told of an unknown voice as JSON", async () => {
    await using pair = await openPair();
    const error = await errorOf(pair.client.audio.speak(aSpeech({ voiceId: "7" }), { signal }));
    expect(error).toMatchObject({ code: "COZE_BAD_REQUEST", cozeCode: 4000 });
  });

  it("JSON that is no failure, a page of a gateway, and silence are failures", async () => {
    await using pair = await openPair();
    const json = { "content-type": "application/json" };
    pair.coze.playNext({ headers: json, packets: ['{"code":0,"msg":""}'] }, SPEECH);
    const accepted = await errorOf(speak(pair, aSpeech()));
    expect(accepted).toMatchObject({ code: "COZE_STREAM_BROKEN" });
    const html = { "content-type": "text/html" };
    pair.coze.playNext({ status: 502, headers: html, packets: ["<h1>Bad gateway</h1>"] }, SPEECH);
    expect(await errorOf(speak(pair, aSpeech()))).toMatchObject({
      code: "COZE_UNREACHABLE",
      httpStatus: 502,
    });
    pair.coze.playNext({ headers: { "content-type": "audio/wav" }, packets: [] }, SPEECH);
    expect(await errorOf(speak(pair, aSpeech()))).toMatchObject({ code: "COZE_STREAM_BROKEN" });
  });

  it("that breaks off breaks its reader", async () => {
    await using pair = await openPair({ timeouts: { idleMs: 100 } });
    const headers = { "content-type": "audio/wav", "content-length": "1000" };
    for (const [end, code] of [
      ["reset", "COZE_STREAM_BROKEN"],
      ["stall", "COZE_TIMEOUT"],
    ] as const) {
      pair.coze.playNext({ headers, packets: [WAV_START], end }, SPEECH);
      const { audio } = await pair.client.audio.speak(aSpeech(), { signal });
      expect(await errorOf(buffer(audio))).toMatchObject({ code, outcome: "unknown" });
    }
    await expect.poll(() => pair.coze.openConnections).toBe(0);
  });

  it("lets its connection go when nobody reads it, or its signal fires", async () => {
    await using pair = await openPair();
    const stalled = { headers: { "content-type": "audio/wav" }, packets: [WAV_START], end: "stall" } as const;
    pair.coze.playNext(stalled, SPEECH);
    const unread = await pair.client.audio.speak(aSpeech(), { signal });
    expect(pair.coze.openConnections).toBe(1);
    unread.audio.destroy();
    await expect.poll(() => pair.coze.openConnections).toBe(0);
    for (const read of [false, true]) {
      pair.coze.playNext(stalled, SPEECH);
      const stop = new AbortController();
      const reason = new Error("enough");
      const { audio } = await pair.client.audio.speak(aSpeech(), { signal: stop.signal });
      if (read) await once(audio, "readable");
      stop.abort(reason);
      // No timer goes on for what nobody will read.
      expect(audio.destroyed).toBe(true);
      await expect.poll(() => pair.coze.openConnections).toBe(0);
      expect(await errorOf(buffer(audio))).toBe(reason);
    }
  });
});

describe("splitSpeech", () => {
  const bytes = (text: string): number => Buffer.byteLength(text);

  it("leaves short texts alone", () => {
    expect(splitSpeech("Hello. World.")).toEqual(["Hello. World."]);
    expect(splitSpeech("")).toEqual([]);
    expect(splitSpeech(" \n ")).toEqual([]);
  });

  it.each([
    ["One two. Three four. Five.", 12, ["One two. ", "Three four. ", "Five."]],
    ["你好。再见！谢谢你们。", 20, ["你好。再见！", "谢谢你们。"]],
    ["first line\nsecond line", 12, ["first line\n", "second line"]],
    ["no sentence end at all", 12, ["no sentence ", "end at all"]],
    ["Short. averylongwordwithoutanyend", 10, ["Short. ", "averylongw", "ordwithout", "anyend"]],
    ["👩‍👩‍👧👩‍👩‍👧", 20, ["👩‍👩‍👧", "👩‍👩‍👧"]],
    ["e\u0301e\u0301e\u0301", 4, ["e\u0301", "e\u0301", "e\u0301"]],
    // A character that alone is too long is cut between its code points.
    ["👩‍👩‍👧", 7, ["👩‍", "👩‍", "👧"]],
  ])("cuts %j at %i bytes", (text, most, pieces) => {
    expect(splitSpeech(text, most)).toEqual(pieces);
  });

  it("fits everything into pieces that together are the text", () => {
    const anyText = fc.array(
      fc.constantFrom("界", "🙂", "👩‍👩‍👧", "a", " ", ". ", "。", "\n", "e\u0301", "，"),
      { maxLength: 400 },
    );
    fc.assert(
      fc.property(anyText, fc.integer({ min: 30, max: 200 }), (parts, most) => {
        const text = parts.join("");
        const pieces = splitSpeech(text, most);
        expect(pieces.every((piece) => bytes(piece) <= most && piece.isWellFormed())).toBe(true);
        expect(pieces.join("").replaceAll(/\s/g, "")).toBe(text.replaceAll(/\s/g, ""));
        // Unless a piece of spaces was left out, every cut is the beginning of a character.
        if (pieces.join("") !== text) return;
        const characters = new Intl.Segmenter("en").segment(text);
        let cut = 0;
        for (const piece of pieces) {
          expect(characters.containing(cut)?.index).toBe(cut);
          cut += piece.length;
        }
      }),
    );
  });

  it("makes what Coze speaks", async () => {
    await using pair = await openPair();
    for (const text of splitSpeech("这是一个句子。".repeat(200))) {
      expect(text.endsWith("。")).toBe(true);
      await speak(pair, aSpeech({ text }));
    }
    expect(pair.coze.traffic.exchanges).toHaveLength(5);
  });
});

describe("audio.transcribe", () => {
  const transcribe = async (
    { client }: CozePair,
    name: string,
    content: string | Uint8Array,
  ): Promise<string> => {
    await using file = await aFile(content);
    const text = await client.audio.transcribe(file, { name, signal });
    return text;
  };

  it("tells what was said, of a file and of a stream", async () => {
    await using pair = await openPair();
    expect(await transcribe(pair, "voice-message.ogg", OPUS)).toBe(`You said ${OPUS.length} bytes.`);
    const source = { stream: Readable.from([OPUS]), bytes: OPUS.length };
    const sent: number[] = [];
    const onProgress = (count: number): void => void sent.push(count);
    const told = pair.client.audio.transcribe(source, { name: "a.OPUS", signal, onProgress });
    expect(await told).toBe(`You said ${OPUS.length} bytes.`);
    expect(sent).toEqual([OPUS.length]);
    expect(pair.coze.traffic.exchanges.at(-1)?.request).toEqual({
      query: {},
      parts: [{ field: "file", name: "a.OPUS", bytes: OPUS.length }],
    });
  });

  it.each([
    ["clip.webm", "x", "FILE_TYPE"],
    ["voice", "x", "FILE_TYPE"],
    ["voice.flac", "x", "FILE_TYPE"],
    ["voice.mp3", "", "FILE_EMPTY"],
    ["voice.mp3", Buffer.alloc(10 * 1024 * 1024 + 1), "FILE_TOO_LARGE"],
  ])("refuses %s before anything is sent (case %#)", async (name, content, code) => {
    await using pair = await openPair();
    const error = await errorOf(transcribe(pair, name, content));
    expect(error).toMatchObject({ code, outcome: "refused", cozeCode: undefined });
    expect(pair.coze.traffic.exchanges).toEqual([]);
  });

  it("takes 10 MB", async () => {
    await using pair = await openPair();
    const size = 10 * 1024 * 1024;
    expect(await transcribe(pair, "long.wav", Buffer.alloc(size))).toBe(`You said ${size} bytes.`);
  });

  it("knows fewer formats with the small model", async () => {
    await using pair = await openPair({ switches: { asrModel: "small" } });
    expect(await transcribe(pair, "a.m4a", "x")).toBe("You said 1 bytes.");
    expect(await errorOf(transcribe(pair, "a.amr", "x"))).toMatchObject({
      code: "FILE_TYPE",
      cozeCode: 4303,
    });
  });

  it("stops a stream that ends early", async () => {
    await using pair = await openPair();
    const stream = Readable.from([OPUS]);
    const source = { stream, bytes: OPUS.length + 1 };
    const error = await errorOf(pair.client.audio.transcribe(source, { name: "a.ogg", signal }));
    expect(error).toMatchObject({ code: "FILE_GONE" });
    expect(stream.destroyed).toBe(true);
  });
});

describe("audio.listVoices", () => {
  const names = async (
    { client }: CozePair,
    filter: Omit<ListVoicesOptions, "signal"> = {},
  ): Promise<readonly string[]> => {
    const voices = await Array.fromAsync(client.audio.listVoices({ ...filter, signal }));
    return voices.map(({ name }) => name);
  };

  it("gives all of them, page by page, each once", async () => {
    await using pair = await openPair();
    const all = await names(pair);
    expect(all).toHaveLength(230);
    expect(new Set(all).size).toBe(230);
    expect(pair.coze.traffic.exchanges).toHaveLength(3);
    const [first] = await Array.fromAsync(pair.client.audio.listVoices({ state: "cloned", signal }));
    expect(first).toEqual({
      voiceId: (BigInt(STAND_IN_VOICE) + 9n).toString(),
      name: "Voice 10",
      system: false,
      languageCode: "en",
      languageName: "English",
      previewText: "Hello",
      previewUrl: "https://example.com/voices/10.mp3",
      modelType: "small",
      state: "cloned",
    });
  });

  it("asks for no page that nobody wants", async () => {
    await using pair = await openPair();
    for await (const voice of pair.client.audio.listVoices({ signal })) {
      expect(voice.name).toBe("Voice 1");
      break;
    }
    expect(pair.coze.traffic.exchanges).toHaveLength(1);
  });

  it("gives those that were asked for", async () => {
    await using pair = await openPair();
    expect(await names(pair, { withoutSystemVoices: true })).toHaveLength(23);
    expect(await names(pair, { modelType: "small", state: "cloned" })).toHaveLength(8);
  });

  it("gives up a list that never ends", async () => {
    await using pair = await openPair();
    const body = { code: 0, data: { voice_list: null, has_more: true } };
    pair.coze.faults.plan("GET /v1/audio/voices", { do: "answer", status: 200, body }, 10);
    expect(await errorOf(names(pair))).toMatchObject({ code: "COZE_FAILED" });
    expect(pair.coze.traffic.exchanges.length).toBeLessThan(10);
  });
});

describe("the stand-in refuses", () => {
  const headers = { authorization: `Bearer ${STAND_IN_TOKEN}`, "content-type": "application/json" };

  it.each([
    [{ input: undefined }, 4000],
    [{ input: "界".repeat(342) }, 4000],
    [{ voice_id: undefined }, 4000],
    [{ voice_id: "7" }, 4000],
    [{ response_format: "flac" }, 4000],
    [{ speed: 3.5 }, 4000],
    [{ speed: "1" }, 4000],
    [{ sample_rate: 11_025 }, 4000],
    [{ loudness_rate: 101 }, 4000],
    [{ emotion_scale: 6 }, 4000],
  ])("the speech %j", async (changes, code) => {
    await using pair = await openPair();
    const body = JSON.stringify({ input: "Hello", voice_id: STAND_IN_VOICE, ...changes });
    const answer = await fetch(`${pair.coze.url}/v1/audio/speech`, { method: "POST", headers, body });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({ code });
  });

  it.each(["page_num=0", "page_size=101", "page_size=x", "filter_system_voice=yes"])(
    "voices with %s",
    async (query) => {
      await using pair = await openPair();
      const answer = await fetch(`${pair.coze.url}/v1/audio/voices?${query}`, { headers });
      expect(await answer.json()).toMatchObject({ code: 4000 });
    },
  );

  it.each([
    ["file", "a.webm", "x", 4303],
    ["file", "a.wav", "", 4300],
    ["data", "a.wav", "x", 4300],
    ["file", "a.wav", Buffer.alloc(10 * 1024 * 1024 + 1), 4302],
  ])("a recording as %s named %s (case %#)", async (field, name, content, code) => {
    await using pair = await openPair();
    const form = new FormData();
    form.append(field, new Blob([Buffer.from(content)]), name);
    const { authorization } = headers;
    const sent = { method: "POST", headers: { authorization }, body: form };
    const answer = await fetch(`${pair.coze.url}/v1/audio/transcriptions`, sent);
    expect(await answer.json()).toMatchObject({ code });
  });
});
