import { ChatEventType, CozeAPI, RoleType, type StreamChatData } from "@coze/api";
import { expect, it } from "vitest";
import { STAND_IN_BOT, STAND_IN_TOKEN, UNPUBLISHED_BOT } from "../../sandbox/coze/coze-stand-in.ts";
import { RATE_LIMITED } from "../../sandbox/coze/service.ts";
import { STAND_IN_WORKFLOW } from "../../sandbox/coze/workflows.ts";
import type { AnswerEvent } from "../../src/core/answer-state.ts";
import { errorOf, newConversation, noAbort } from "./coze-kit.ts";
import { type Judged, openJudged, ourQuestion, theirQuestion } from "./vendor-kit.ts";
import { ANSWER, COMPLETED, CREATED, DONE, delta, packet } from "./wire-make.ts";

const signal = noAbort();
const options = { signal };
const PATIENT = { signal, timeoutMs: 60_000 };
/** Slow enough to be met in the middle. */
const SLOW = { firstDeltaMs: 60_000, deltaMs: 60_000 };
const STREAM_RUN = "POST /v1/workflow/stream_run";

/** What of each came to the caller, in the same words. */
interface Shown {
  readonly theirs: unknown;
  readonly ours: unknown;
}

interface Defect extends Shown {
  readonly defect: string;
  /** Where docs/reference/coze-api.md tells it, or what it should have been. */
  readonly source: string;
  readonly open?: Parameters<typeof openJudged>[0];
  readonly show: (judged: Judged) => Promise<Shown>;
}

/** What a stream said by its deltas alone, and the error it ended with. */
interface Read {
  readonly said: string;
  readonly ids: readonly string[];
  readonly ended: string;
}

async function read<T>(
  events: AsyncIterable<T>,
  toDelta: (event: T) => { readonly id: string; readonly text: string } | undefined,
): Promise<Read> {
  const deltas: { id: string; text: string }[] = [];
  let ended = "well";
  try {
    for await (const event of events) {
      const found = toDelta(event);
      if (found !== undefined) deltas.push(found);
    }
  } catch (error) {
    ended = nameOf(error);
  }
  return { said: deltas.map(({ text }) => text).join(""), ids: deltas.map(({ id }) => id), ended };
}

/** Our code, or the beginning of their words. */
function nameOf(error: unknown): string {
  const { code, message } = error as { readonly code?: unknown; readonly message: string };
  return typeof code === "string" ? code : (message.split(":")[0] ?? "");
}

function readTheirs(events: AsyncIterable<StreamChatData>): Promise<Read> {
  return read(events, ({ event, data }) =>
    event === ChatEventType.CONVERSATION_MESSAGE_DELTA ? { id: data.id, text: data.content } : undefined,
  );
}

function readOurs(events: AsyncIterable<AnswerEvent>): Promise<Read> {
  return read(events, (event) =>
    event.type === "delta" ? { id: event.messageId, text: event.text } : undefined,
  );
}

/** Both read these bytes as an answer. */
async function playBoth(
  { coze, vendor, client }: Judged,
  raw: Parameters<typeof coze.playNext>[0],
): Promise<{ theirs: Read; ours: Read }> {
  coze.playNext(raw);
  coze.playNext(raw);
  return {
    theirs: await readTheirs(vendor.chat.stream(theirQuestion("Hello"))),
    ours: await readOurs(client.chats.stream(ourQuestion("Hello"), options)),
  };
}

const playing =
  (...packets: (string | Uint8Array)[]): Defect["show"] =>
  (judged) =>
    playBoth(judged, { packets });

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");
const dataOf = (content: string): string => `data:${delta(content).data}\n`;
const END = packet(COMPLETED, DONE);

/** How the service's answers are framed. */
const FRAMING: readonly Defect[] = [
  {
    defect: "takes an event without a name for another one of the last name",
    source: "§21.2, §22.5",
    show: playing(packet(CREATED, delta("Hello")), `${dataOf(" and more")}\n`, END),
    theirs: { said: "Hello and more" },
    ours: { said: "Hello", ended: "well" },
  },
  {
    defect: "takes data that stands before its event's name for an event of the last name",
    source: "§22.5",
    show: playing(packet(CREATED), `${dataOf("Hello")}event:conversation.message.delta\n\n`, END),
    theirs: { said: "" },
    ours: { said: "Hello", ended: "well" },
  },
  {
    defect: "breaks at data of several lines",
    source: "§21.2, §22.5",
    show: playing(
      packet(CREATED),
      `event:conversation.message.delta\n${dataOf("Hello").replace(",", ",\ndata:")}\n`,
      END,
    ),
    theirs: { said: "", ended: "Could not parse message into JSON" },
    ours: { said: "Hello", ended: "well" },
  },
  {
    defect: "hears nothing when lines end with a carriage return",
    source: "§22.3",
    show: playing(text(packet(CREATED, delta("Hello"), COMPLETED, DONE)).replaceAll("\n", "\r")),
    theirs: { said: "" },
    ours: { said: "Hello", ended: "well" },
  },
  {
    defect: "makes an error of the last event when no empty line follows it",
    source: "§21.2, §22.6",
    show: playing(packet(CREATED, delta("Hello")), text(packet(COMPLETED)).trimEnd()),
    theirs: { said: "Hello", ended: "Could not parse message into JSON" },
    ours: { said: "Hello", ended: "well" },
  },
  {
    defect: "loses the digits of ids that come as numbers",
    source: "§1.6, §22.42",
    show: async (judged) => {
      const bytes = text(packet(CREATED, delta("Hello"), COMPLETED, DONE));
      return playBoth(judged, { packets: [bytes.replaceAll(`"${ANSWER}"`, ANSWER)] });
    },
    theirs: { ids: [Number(ANSWER)] },
    ours: { ids: [ANSWER] },
  },
  {
    defect: "breaks at an error event in plain words",
    source: "§7.4, §22.29",
    show: playing(packet(CREATED, delta("Hello")), "event:error\ndata:the model is gone\n\n", END),
    theirs: { said: "Hello", ended: "Could not parse message into JSON" },
    ours: { said: "Hello", ended: "COZE_STREAM_BROKEN" },
  },
];

/** What the end of a stream proves. */
const ENDS: readonly Defect[] = [
  {
    defect: "takes an answer that is cut by a reset for a whole one",
    source: "§21.2, §7.5",
    show: (judged) => playBoth(judged, { packets: [packet(CREATED, delta("Hel"))], end: "reset" }),
    theirs: { said: "Hel", ended: "well" },
    ours: { said: "Hel", ended: "COZE_STREAM_BROKEN" },
  },
  {
    defect: "takes an answer that just stops for a whole one",
    source: "§21.2, §7.5",
    show: playing(packet(CREATED, delta("Hel"))),
    theirs: { said: "Hel", ended: "well" },
    ours: { said: "Hel", ended: "COZE_STREAM_BROKEN" },
  },
  {
    defect: "tells a refusal as an event of a stream that ends well",
    source: "§7.1, §7.2, §22.27",
    show: async ({ vendor, client }) => ({
      theirs: await readTheirs(vendor.chat.stream(theirQuestion("Hello", { bot_id: UNPUBLISHED_BOT }))),
      ours: await readOurs(client.chats.stream(ourQuestion("Hello", { botId: UNPUBLISHED_BOT }), options)),
    }),
    theirs: { ended: "well" },
    ours: { ended: "COZE_BOT_UNPUBLISHED" },
  },
  {
    defect: "does not know the code of a stream that is refused with a status of its own",
    source: "§1.5",
    open: { switches: { refusalStatus: "matching" } },
    show: async ({ vendor, client }) => ({
      theirs: await errorOf(Array.fromAsync(vendor.chat.stream(theirQuestion("fail 4015")))),
      ours: await errorOf(Array.fromAsync(client.chats.stream(ourQuestion("fail 4015"), options))),
    }),
    theirs: { status: 400, code: undefined },
    ours: { cozeCode: 4015 },
  },
  {
    defect: "takes a workflow that just stops for one that is done",
    source: "§13.2, §7.5",
    show: async ({ vendor, client }) => ({
      theirs: await endOf(vendor.workflows.runs.stream(theirRun("stop"))),
      ours: await endOf(client.workflows.stream(ourRun("stop"), options)),
    }),
    theirs: "well",
    ours: "COZE_STREAM_BROKEN",
  },
  {
    defect: "breaks at an empty PING of a workflow",
    source: "§13.2, §21.1 coze-py#249",
    show: async ({ coze, vendor, client }) => {
      const bytes = "id: 0\nevent: PING\ndata: \n\nid: 1\nevent: Done\ndata: {}\n\n";
      for (const packets of [[bytes], [bytes]]) coze.playNext({ packets }, STREAM_RUN);
      return {
        theirs: await endOf(vendor.workflows.runs.stream(theirRun("rain"))),
        ours: await endOf(client.workflows.stream(ourRun("rain"), options)),
      };
    },
    theirs: "Could not parse message into JSON",
    ours: "well",
  },
  {
    defect: "loses where a workflow's run can be looked at",
    source: "§13.2, §21.1 coze-py#325",
    show: async ({ vendor, client }) => ({
      theirs: (await Array.fromAsync(vendor.workflows.runs.stream(theirRun("rain")))).at(-1),
      ours: (await Array.fromAsync(client.workflows.stream(ourRun("rain"), options))).at(-1),
    }),
    theirs: { event: "Done", data: undefined },
    ours: { type: "done", debugUrl: expect.stringContaining("execute_id=") as unknown },
  },
];

const theirRun = (input: string): { workflow_id: string; parameters: { input: string } } => ({
  workflow_id: STAND_IN_WORKFLOW,
  parameters: { input },
});
const ourRun = (input: string): { workflowId: string; parameters: { input: string } } => ({
  workflowId: STAND_IN_WORKFLOW,
  parameters: { input },
});

async function endOf(events: AsyncIterable<unknown>): Promise<string> {
  return (await read(events, () => undefined)).ended;
}

/** How long and how often it waits. Whatever of theirs does not end is aborted. */
const WAITS: readonly Defect[] = [
  {
    defect: "waits forever for a stream that fell silent",
    source: "§1.7, §22.31",
    open: { timeouts: { idleMs: 50 } },
    show: async (judged) => {
      const { coze, vendor, client } = judged;
      const raw = { packets: [packet(CREATED, delta("Hel"))], end: "stall" } as const;
      coze.playNext(raw);
      coze.playNext(raw);
      const stop = new AbortController();
      let over = false;
      const theirs = readTheirs(vendor.chat.stream(theirQuestion("Hello"), { signal: stop.signal })).finally(
        () => {
          over = true;
        },
      );
      await expect.poll(() => coze.traffic.exchanges.length).toBe(1);
      const ours = await readOurs(client.chats.stream(ourQuestion("Hello"), options));
      const waits = !over;
      stop.abort();
      await theirs;
      return { theirs: { waits }, ours };
    },
    theirs: { waits: true },
    ours: { said: "Hel", ended: "COZE_TIMEOUT" },
  },
  {
    defect: "looks at a chat ten times a second, which is refused",
    source: "§21.2, §14",
    show: async ({ coze, vendor, client }) => {
      coze.setPace(SLOW);
      const theirs = await errorOf(vendor.chat.createAndPoll(theirQuestion("Hello")));
      // Over by our second look.
      coze.setPace({ firstDeltaMs: 300, deltaMs: 0 });
      return { theirs, ours: await client.chats.ask(ourQuestion("Hello"), PATIENT) };
    },
    theirs: { code: RATE_LIMITED },
    ours: { chat: { status: "completed" } },
  },
  {
    defect: "goes on looking at a chat that was canceled, and nothing stops it",
    source: "§21.2",
    open: { pace: SLOW, switches: { limits: undefined } },
    show: async ({ coze, client }) => {
      const looks = (): number =>
        coze.traffic.exchanges.filter(({ name }) => name.endsWith("/retrieve")).length;
      // Of what a call is given only its first request hears: the client itself must be cut off.
      const [call, whole] = [new AbortController(), new AbortController()];
      const vendor = new CozeAPI({
        ...{ token: STAND_IN_TOKEN, baseURL: coze.url, axiosOptions: { signal: whole.signal } },
      });
      const polling = errorOf(vendor.chat.createAndPoll(theirQuestion("Hello"), { signal: call.signal }));
      await expect.poll(looks).toBeGreaterThan(0);
      coze.chats[0]?.cancel({ tellStream: false });
      call.abort();
      const before = looks();
      await expect.poll(looks).toBeGreaterThan(before + 3);
      whole.abort();
      const theirs = { looksOn: true, ended: nameOf(await polling) };
      const asked = client.chats.ask(ourQuestion("Hello"), PATIENT);
      await expect.poll(() => coze.chats.length).toBe(2);
      coze.chats[1]?.cancel({ tellStream: false });
      return { theirs, ours: await asked };
    },
    theirs: { looksOn: true, ended: "canceled" },
    ours: { chat: { status: "canceled" } },
  },
];

/** What goes out. */
const REQUESTS: readonly Defect[] = [
  {
    defect: "makes up another user for each chat that names none, and the bot forgets who it talks to",
    source: "§4, §21.2",
    show: async (judged) => {
      const { coze, vendor, client } = judged;
      const [first, second] = ["My name is Tuva", "What is my name?"];
      const conversation = { conversation_id: await newConversation(judged), user_id: "" };
      for (const said of [first, second])
        await readTheirs(vendor.chat.stream(theirQuestion(said, conversation)));
      const users = coze.traffic.exchanges
        .filter(({ name }) => name === "POST /v3/chat")
        // A chat's body, as the stand-in recorded it.
        .map(({ request }) => (request as { readonly body: { readonly user_id: string } }).body.user_id);
      const theirs = (await vendor.conversations.messages.list(conversation.conversation_id)).data[0]
        ?.content;
      const conversationId = await newConversation(judged);
      for (const said of [first, second])
        await readOurs(client.chats.stream(ourQuestion(said, { conversationId }), options));
      const [ours] = (await client.messages.page({ conversationId, signal })).items;
      return { theirs: { users: new Set(users).size, answer: theirs }, ours: { answer: ours?.text } };
    },
    theirs: { users: 2, answer: "You have not told me your name yet." },
    ours: { answer: "Your name is Tuva." },
  },
  {
    defect: "writes values into addresses as they are, where they become other fields",
    source: "§21.2",
    show: async ({ vendor, client }) => {
      await client.conversations.create({ botId: STAND_IN_BOT, connectorId: "999" }, options);
      const botId = `${STAND_IN_BOT}&connector_id=999`;
      const { conversations } = await vendor.conversations.list({ bot_id: botId });
      const ours = await errorOf(Array.fromAsync(client.conversations.list({ botId, signal })));
      return { theirs: { foreign: conversations.length }, ours };
    },
    theirs: { foreign: 1 },
    ours: { cozeCode: 4006 },
  },
  {
    defect: "sends a message with files in a form that is refused",
    source: "§3.6",
    show: async (judged) => {
      const { vendor, client } = judged;
      const conversationId = await newConversation(judged);
      const url = "https://example.com/a.png";
      const theirs = vendor.conversations.messages.create(conversationId, {
        role: RoleType.User,
        content: [
          { type: "text", text: "Look" },
          { type: "image", file_url: url },
        ],
        content_type: "object_string",
        meta_data: {},
      });
      const content = [
        { type: "text", text: "Look" },
        { type: "image", fileUrl: url },
      ] as const;
      const ours = client.messages.create(conversationId, { role: "user", content }, options);
      return { theirs: await errorOf(theirs), ours: await ours };
    },
    theirs: { code: 4005 },
    ours: { contentType: "object_string" },
  },
  {
    defect: "gives the failure of a speech as if it were the speech",
    source: "§22.47",
    show: async ({ vendor, client }) => {
      const [input, voice] = ["Hello", "1"];
      const speech = await vendor.audio.speech.create({ input, voice_id: voice });
      return {
        theirs: JSON.parse(Buffer.from(speech).toString("utf8")) as unknown,
        ours: await errorOf(client.audio.speak({ text: input, voiceId: voice }, options)),
      };
    },
    theirs: { code: 4000 },
    ours: { name: "CozeError", cozeCode: 4000 },
  },
  {
    defect: "keeps the chat to itself that goes on with what a tool gave back, without a stream",
    source: "§8.5, §21.2",
    open: { switches: { limits: undefined } },
    show: async ({ vendor, client }) => {
      const { chat } = await vendor.chat.createAndPoll(theirQuestion("local plugin"));
      const calls = chat.required_action?.submit_tool_outputs.tool_calls ?? [];
      const events = await Array.fromAsync(
        vendor.chat.submitToolOutputs({
          ...{ conversation_id: chat.conversation_id, chat_id: chat.id, stream: false },
          tool_outputs: calls.map(({ id }) => ({ tool_call_id: id, output: "12" })),
        }),
      );
      const asked = await client.chats.ask(ourQuestion("local plugin"), PATIENT);
      const outputs = asked.chat.pending.map(({ id }) => ({ toolCallId: id, output: "12" }));
      const ours = await client.chats.submitToolOutputsAndWait(asked.chat, outputs, PATIENT);
      return { theirs: { events }, ours };
    },
    theirs: { events: [] },
    ours: { chat: { status: "completed" } },
  },
];

const ALL = [...FRAMING, ...ENDS, ...WAITS, ...REQUESTS];

it.each(ALL.map((row) => [row.defect, row.source, row] as const))(
  "theirs %s (%s), ours does not",
  async (_defect, _source, { open, show, theirs, ours }) => {
    await using judged = await openJudged(open);
    expect(await show(judged)).toMatchObject({ theirs, ours });
  },
);
