import { setImmediate as nextLoop } from "node:timers/promises";
import { z } from "zod";
import { PlatformError } from "../../src/core/errors.ts";
import { localeOf } from "../../src/core/locale.ts";
import type { Abortable } from "../../src/core/ports.ts";
import type { Turn } from "../../src/core/turn.ts";
import { untilAborted } from "../../src/core/until-aborted.ts";
import { ifReadable } from "../../src/wire.ts";
import { unmetAsker } from "./address.ts";
import type { Names } from "./incoming-text.ts";
import type { SlackContext } from "./slack-context.ts";

const userInfo = z.object({
  user: z.object({
    name: ifReadable(z.string()),
    real_name: ifReadable(z.string()),
    locale: ifReadable(z.string()),
    profile: ifReadable(
      z.object({ display_name: ifReadable(z.string()), real_name: ifReadable(z.string()) }),
    ),
  }),
});

interface Person {
  readonly name: string | undefined;
  readonly locale: string | undefined;
  readonly at: number;
}

const MAX_PEOPLE = 5_000;
const TTL_MS = 3_600_000;
/** How long a name that was not found is not asked for again, in ms. */
const RETRY_MS = 60_000;
/**
 * An acknowledgement or a sentence of ours waits so long for names, in ms; without them ids are shown. With the two seconds that
 * storing a command may take (`ACCEPT_DEADLINE_MS`) it must fit Slack's three (slack.md §3.4).
 */
const WAIT_MS = 600;
/** A look goes on behind that, for the next time. */
const LOOKUP_TIMEOUT_MS = 5_000;
/** Names looked up for one message; a list of fifty mentions must not cost fifty calls. */
const MAX_LOOKUPS = 8;
/** Names told for one message; those of people who are known cost nothing. */
const MAX_NAMES = 50;
/** To be waited for. */
const NOTHING = Promise.resolve();

/** The people whose names a payload needs. */
export interface PeopleInQuestion {
  readonly asker: string | undefined;
  /** What is asked names them: without their names it cannot be asked. */
  readonly mentioned: readonly string[];
}

/** What a turn is to know of people. */
interface Loaded {
  readonly names: Names;
  /** The asker's client language, e.g. `zh-CN`. */
  readonly localeHint?: string;
  /** The asker was not looked up. */
  readonly unmet?: boolean;
}

/** Who people are, as far as the app may know and can find out in time. */
export class People {
  readonly #context: Pick<SlackContext, "api" | "latches" | "log" | "tools">;
  readonly #signal: AbortSignal;
  readonly #known = new Map<string, Person>();
  /** Looks that are under way, by user: who needs the same person meanwhile waits for the same call. */
  readonly #looks = new Map<string, Promise<void>>();

  /** @param options - `signal`: ends every look. */
  constructor(context: Pick<SlackContext, "api" | "latches" | "log" | "tools">, { signal }: Abortable) {
    this.#context = context;
    this.#signal = signal;
  }

  /**
   * Names by id, and the asker's client language. Never fails: an unknown one has no name.
   *
   * @param options - `patient`: the asker is looked up, too; else {@link meet} does so where the question is answered.
   */
  async load(
    { asker, mentioned }: PeopleInQuestion,
    { team, patient, signal }: Abortable & { team: string; patient: boolean },
  ): Promise<Loaded> {
    const users = [...new Set([...(asker === undefined ? [] : [asker]), ...mentioned])].slice(0, MAX_NAMES);
    const wanted = users.filter((user) => patient || mentioned.includes(user));
    const needed = wanted.filter((user) => !this.#isKnown(user, team)).slice(0, MAX_LOOKUPS);
    await within(
      needed.map((user) => this.#know(user, team)),
      signal,
    );
    const names = new Map<string, string>();
    for (const user of users) {
      const name = this.#known.get(user)?.name;
      if (name !== undefined) names.set(user, name);
    }
    const localeHint = this.#known.get(asker ?? "")?.locale;
    const unmet = asker !== undefined && !needed.includes(asker) && !this.#isKnown(asker, team);
    return { names, ...(localeHint !== undefined && { localeHint }), ...(unmet && { unmet }) };
  }

  /**
   * Name and language of an asker who was not known yet when the turn was handed in; `undefined` for all others. Never
   * rejects, and takes {@link WAIT_MS} at most.
   */
  meet(
    { address, asker, locale }: Pick<Turn, "address" | "asker" | "locale">,
    { signal }: Abortable,
  ): Promise<Pick<Turn, "asker" | "locale">> | undefined {
    const unmet = unmetAsker(address);
    if (unmet === undefined) return undefined;
    const { team, user } = unmet;
    const look = async (): Promise<Pick<Turn, "asker" | "locale">> => {
      // Where a plain question is answered, its request to Coze goes out in this turn of the loop; this comes after.
      await nextLoop();
      await within([this.#know(user, team)], signal);
      const known = this.#known.get(user);
      return {
        asker: { ...asker, name: known?.name ?? asker.name },
        locale: locale === "zh" ? locale : localeOf("", known?.locale),
      };
    };
    return look();
  }

  /**
   * A name that may have changed is good enough: the next question has the new one.
   *
   * @returns What has to be waited for.
   */
  #know(user: string, team: string): Promise<void> {
    if (this.#isKnown(user, team)) return NOTHING;
    const look = this.#looks.get(user) ?? this.#look(user, team);
    return this.#known.get(user)?.name === undefined ? look : NOTHING;
  }

  /** As well as can be: there is nothing to look up. */
  #isKnown(user: string, team: string): boolean {
    const { latches, tools } = this.#context;
    const known = this.#known.get(user);
    return (known !== undefined && tools.clock.now() - known.at < TTL_MS) || latches.isOff("names", team);
  }

  #look(user: string, team: string): Promise<void> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(LOOKUP_TIMEOUT_MS)]);
    const look = this.#learn(user, team, signal).finally(() => this.#looks.delete(user));
    this.#looks.set(user, look);
    return look;
  }

  /** Never rejects. */
  async #learn(user: string, team: string, signal: AbortSignal): Promise<void> {
    const { api, latches, log, tools } = this.#context;
    try {
      const info = await api.call("users.info", userInfo, { user, include_locale: true }, { signal });
      const { name, real_name: realName, locale, profile } = info.user;
      const shown = [profile?.display_name, profile?.real_name, realName, name].find(
        (it) => it !== undefined && it !== "",
      );
      this.#remember(user, { name: shown, locale, at: tools.clock.now() });
    } catch (error) {
      if (error instanceof PlatformError && error.platformCode === "missing_scope") {
        latches.turnOff("names", team, error);
      } else {
        // Not asked again for a while: the next message shall not wait for it, too. What was known stays.
        const { name, locale } = this.#known.get(user) ?? {};
        this.#remember(user, { name, locale, at: tools.clock.now() - TTL_MS + RETRY_MS });
        log.debug({ err: error }, "slack name not found");
      }
    }
  }

  #remember(user: string, person: Person): void {
    this.#known.delete(user);
    this.#known.set(user, person);
    const oldest = this.#known.keys().next().value;
    if (this.#known.size > MAX_PEOPLE && oldest !== undefined) this.#known.delete(oldest);
  }
}

/** Waits for looks, which never reject, for a moment, and as long as somebody waits for the result. */
async function within(looks: readonly Promise<void>[], signal: AbortSignal): Promise<void> {
  try {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)]);
    if (looks.some((look) => look !== NOTHING)) await untilAborted(Promise.all(looks), patience);
  } catch {
    // Nobody waits any more: what is known by now is all there is.
  }
}
