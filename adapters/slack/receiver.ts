import type { App, Receiver } from "@slack/bolt";

/** One payload of Slack, however it came. */
export interface SlackDelivery {
  readonly body: Readonly<Record<string, unknown>>;
  readonly retryNum?: number;
  readonly retryReason?: string;
}

/** What Slack is answered: the listener's words, or nothing. */
export type AckResponse = string | Readonly<Record<string, unknown>> | undefined;

/**
 * Bolt's receiver with a two-phase acknowledgement: Bolt acknowledges events before its listeners ran, which only
 * stores the answer here; Slack hears it when all of them are through (slack.md §6.6 way B).
 */
export class TwoPhaseReceiver implements Receiver {
  #app: App | undefined;

  init(app: App): void {
    this.#app = app;
  }

  /**
   * @returns What to acknowledge with. Rejects when a listener failed: then nothing may be acknowledged, and Slack
   *   delivers again.
   */
  async deliver({ body, retryNum, retryReason }: SlackDelivery): Promise<AckResponse> {
    if (this.#app === undefined) throw new Error("receiver used before Bolt took it");
    let response: AckResponse;
    await this.#app.processEvent({
      body: { ...body },
      ...(retryNum !== undefined && { retryNum }),
      ...(retryReason !== undefined && { retryReason }),
      ack: (answer?: AckResponse) => {
        response = answer;
        return Promise.resolve();
      },
    });
    return response;
  }

  /** Sockets and routes are opened and closed by the adapter. */
  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}
