import { holdsText } from "./same-text.ts";
import type { Scene } from "./scenes.ts";
import { botText, type Stage, since } from "./stage.ts";
import type { ChatView } from "./stand-in.ts";
import type { ChatScreen } from "./terminal.ts";

/** Longest time an answer may take to be whole. */
const ANSWER_MS = 120_000;
/** An answer without an expectation is over when nothing has changed for so long. */
const QUIET_MS = 4_000;

/** Plays a scene on the screen. @returns Whether the whole answer came. */
export async function playScene(scene: Scene, screen: ChatScreen, signal: AbortSignal): Promise<boolean> {
  screen.say(scene.about);
  const isWhole = (view: ChatView): boolean => holdsText(botText(view), scene.expected);
  const whole = await watchAnswer(scene.stage, scene.act, { screen, signal, isWhole });
  if (!whole && !signal.aborted) screen.say("✗ this answer is missing or wrong · 回答缺失或有误");
  return whole;
}

/** Does something on a stage and shows the chat until its answer is over. */
export async function watchAnswer(
  stage: Stage,
  act: () => string,
  options: { screen: ChatScreen; signal: AbortSignal; isWhole?: (view: ChatView) => boolean },
): Promise<boolean> {
  const { screen, signal, isWhole } = options;
  const before = new Map(stage.places().map((place) => [place, stage.standIn.view(place)]));
  const news = (place: string): ChatView => since(stage.standIn.view(place), before.get(place));
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let place: string | undefined;
  let quiet: NodeJS.Timeout | undefined;
  const look = (): void => {
    if (place === undefined) return;
    const at = place;
    screen.update(() => ({ title: stage.title(at), view: news(at) }));
    const view = news(at);
    const resting = view.status === "" && view.messages.every(({ unfinished }) => !unfinished);
    clearTimeout(quiet);
    if (isWhole === undefined && resting && botText(view) !== "")
      quiet = setTimeout(() => resolve(true), QUIET_MS);
    if (isWhole?.(view) === true && resting) resolve(true);
  };
  const leave = stage.standIn.onChange(look);
  const end = (): void => resolve(false);
  if (signal.aborted) end();
  else signal.addEventListener("abort", end, { once: true });
  const late = setTimeout(end, ANSWER_MS);
  place = act();
  look();
  const whole = await promise;
  leave();
  signal.removeEventListener("abort", end);
  clearTimeout(late);
  clearTimeout(quiet);
  screen.settle(stage.title(place), news(place));
  return whole;
}
