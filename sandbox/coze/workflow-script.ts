/** What a scripted workflow does: some output of a message node, then one of four ends. */
export type WorkflowPlan = { readonly said: readonly string[] } & (
  | { readonly end: "output"; readonly output: string }
  /** A node waits for somebody. */
  | { readonly end: "ask"; readonly type: number }
  | { readonly end: "fail"; readonly code: number }
  /** The stream just ends. */
  | { readonly end: "stop" }
);

export const QUESTION = "Which city do you mean?";

const SAID = ["Working", " on", " it."];

/** The plan for what the parameter `input` says. Pure. */
export function planWorkflow(input: string): WorkflowPlan {
  const [, late, code] = /^(late )?fail (\d+)$/.exec(input) ?? [];
  if (code !== undefined) return { said: late === undefined ? [] : SAID, end: "fail", code: Number(code) };
  const asked = /^ask(?: (\d+))?$/.exec(input);
  if (asked !== null) return { said: [], end: "ask", type: Number(asked[1] ?? 2) };
  switch (input) {
    case "stop":
      return { said: SAID, end: "stop" };
    case "ids":
      // Beyond 2^53, as ids inside of an output are (coze-api.md §1.6).
      return { said: [], end: "output", output: '{"id":7390000000000000001}' };
    case "plain":
      return { said: [], end: "output", output: "no JSON at all" };
    default:
      return { said: SAID, end: "output", output: JSON.stringify({ output: `Done: ${input}` }) };
  }
}
