import type { CozeTools } from "./coze-tools.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { toLine, toTable } from "./lines.ts";

/** What `coze-bridge workspaces` is asked to do. */
export interface WorkspacesCommand {
  readonly act: "workspaces";
  readonly json: boolean;
}

/** Lists the account's workspaces, where bots live. */
export async function workspaces(
  { json }: WorkspacesCommand,
  { coze, terminal, signal }: CozeTools,
): Promise<ExitCode> {
  const rows: string[][] = [];
  for await (const workspace of coze.workspaces.list({ signal })) {
    if (json) terminal.write(toLine(workspace));
    else rows.push([workspace.workspaceId, workspace.type, workspace.role, workspace.name]);
  }
  terminal.write(toTable(rows));
  if (!json && rows.length === 0) terminal.say("The token belongs to no workspace.");
  return EXIT.ok;
}
