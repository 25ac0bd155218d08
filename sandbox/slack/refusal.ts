/** Slack's "no": HTTP 200 with `ok: false` and this error. */
export class SlackRefusal extends Error {
  override readonly name = "SlackRefusal";
  /** Fields beside `error`, e.g. `needed`. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(error: string, fields: Readonly<Record<string, unknown>> = {}) {
    super(error);
    this.fields = fields;
  }
}
