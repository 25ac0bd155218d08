import { STAND_IN_VOICE } from "../../../sandbox/coze/audio.ts";
import { STAND_IN_BOT } from "../../../sandbox/coze/coze-stand-in.ts";
import { STAND_IN_APP, STAND_IN_WORKFLOW } from "../../../sandbox/coze/workflows.ts";
import type { WorkflowRequest } from "../../../src/coze/workflow-request.ts";
import { aFile, type CozePair, newConversation, noAbort } from "../coze-kit.ts";
import { OPUS, PNG } from "../file-bytes.ts";

const options = { signal: noAbort() };
const workflowId = STAND_IN_WORKFLOW;

/** Every call of files and workflows, with every field. The plan must allow asynchronous runs. */
export async function callWorkflows(pair: CozePair): Promise<void> {
  const { files, workflows } = pair.client;
  await using file = await aFile(PNG);
  const { fileId: id } = await files.upload(file, { name: "a.png", ...options });
  await files.retrieve(id, options);
  const ext = { latitude: "1", longitude: "2", userId: "u" };
  const input = { workflowId, files: { one: id, many: [id] }, ext, version: "v0.0.1", connectorId: "1024" };
  const aRun = (text: string, changes: Partial<WorkflowRequest> = {}): WorkflowRequest => ({
    ...input,
    parameters: { input: text },
    ...changes,
  });
  await workflows.run(aRun("rain", { botId: STAND_IN_BOT }), options);
  await workflows.run(aRun("ask", { appId: STAND_IN_APP }), options);
  await workflows.run(aRun("fail 720701013"), options).catch(() => undefined);
  const { executeId } = await workflows.start(aRun("rain"), options);
  await workflows.history({ workflowId, executeId }, options);
  await workflows.history({ workflowId, executeId }, options);
  await Array.fromAsync(workflows.stream(aRun("rain", { botId: STAND_IN_BOT }), options));
  await Array.fromAsync(workflows.stream(aRun("late fail 720701013"), options)).catch(() => undefined);
  for await (const event of workflows.stream(aRun("ask"), options)) {
    if (event.type !== "interrupt") continue;
    const { eventId, interruptType } = event.interrupt;
    await Array.fromAsync(
      workflows.resume({ workflowId, eventId, interruptType, data: "Grey Point" }, options),
    );
  }
  const messages = [
    { role: "user", content: "before", metaData: { key: "value" } },
    { role: "assistant", content: "an answer" },
    { role: "user", content: "Hello" },
  ] as const;
  const conversationId = await newConversation(pair);
  const chat = { ...input, botId: STAND_IN_BOT, conversationId, messages };
  await Array.fromAsync(workflows.chat(chat, options));
  const failing = { ...chat, messages: [{ role: "user", content: "fail 720702204" }] } as const;
  await Array.fromAsync(workflows.chat(failing, options)).catch(() => undefined);
}

/** Every call of audio, with every field. */
export async function callAudio({ client: { audio } }: CozePair): Promise<void> {
  await using recording = await aFile(OPUS);
  await audio.transcribe(recording, { name: "a.ogg", ...options });
  const speech = await audio.speak(
    {
      text: "Hello",
      voiceId: STAND_IN_VOICE,
      format: "wav",
      speed: 1.5,
      sampleRate: 16_000,
      loudness: 10,
      emotion: "happy",
      emotionScale: 4,
      contextTexts: ["softly"],
    },
    options,
  );
  await Array.fromAsync(speech.audio);
  await audio.speak({ text: "Hello", voiceId: "7" }, options).catch(() => undefined);
  const filter = { withoutSystemVoices: true, modelType: "big", state: "cloned", ...options } as const;
  await Array.fromAsync(audio.listVoices(filter));
}
