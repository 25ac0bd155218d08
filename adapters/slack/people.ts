import { z } from "zod";
import { PlatformError } from "../../src/core/errors.ts";
import type { Names } from "./incoming-text.ts";
import type { SlackContext } from "./slack-context.ts";

const userInfo = z.object({
  user: z.object({
    name: z.string().optional(),
    real_name: z.string().optional(),
    locale: z.string().optional(),
    profile: z.object({ display_name: z.string().optional(), real_name: z.string().optional() }).optional(),
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
/** The acknowledgement waits for names; without them ids are shown, in ms. */
const LOOKUP_TIMEOUT_MS = 1_000;
/** Names looked up for one message; a list of fifty mentions must not cost fifty calls. */
const MAX_LOOKUPS = 8;

/** Who people are, as far as the app may know and can find out in time. */
export class People {
  readonly #context: Pick<SlackContext, "api" | "latches" | "log" | "tools">;
  readonly #known = new Map<string, Person>();

  constructor(context: Pick<SlackContext, "api" | "latches" | "log" | "tools">) {
    this.#context = context;
  }

  /** Names by id, and the client language of the first one. Never fails: an unknown one has no name. */
  async load(
    users: readonly string[],
    { team, signal }: { team: string; signal: AbortSignal },
  ): Promise<{ names: Names; localeHint?: string }> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_TIMEOUT_MS)]);
    await Promise.all(users.slice(0, MAX_LOOKUPS).map((user) => this.#know(user, team, limit)));
    const names = new Map<string, string>();
    for (const user of users) {
      const name = this.#known.get(user)?.name;
      if (name !== undefined) names.set(user, name);
    }
    const localeHint = this.#known.get(users[0] ?? "")?.locale;
    return { names, ...(localeHint !== undefined && { localeHint }) };
  }

  /** A name that may have changed is good enough: the next question has the new one. */
  async #know(user: string, team: string, signal: AbortSignal): Promise<void> {
    const known = this.#known.get(user);
    if (known !== undefined && this.#context.tools.clock.now() - known.at < TTL_MS) return;
    const learning = this.#learn(user, team, signal);
    if (known?.name === undefined) await learning;
  }

  /** Never rejects. */
  async #learn(user: string, team: string, signal: AbortSignal): Promise<void> {
    const { api, latches, log, tools } = this.#context;
    if (latches.isOff("names", team)) return;
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
