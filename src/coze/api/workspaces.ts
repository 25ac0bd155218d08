import type { Abortable } from "../../core/ports.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import { type NumberedPage, type PageNumber, readNumbered, toCountedPage, toPageQuery } from "../paging.ts";
import { type WireWorkspace, workspacePageSchema } from "../wire/workspaces.ts";

/** A workspace, where bots live (coze-api.md §12.3). */
export interface Workspace {
  readonly workspaceId: string;
  readonly name: string;
  readonly description: string;
  readonly iconUrl: string;
  /** The account's role in it: `owner`, `admin` or `member`; what else Coze may say. */
  readonly role: string;
  /** `personal` or `team`; what else Coze may say. */
  readonly type: string;
  readonly ownerId: string | undefined;
  /** Empty for those of a person. */
  readonly enterpriseId: string;
}

/** Which workspaces are listed; by default all of the token's own account. */
export interface ListWorkspacesOptions extends Abortable {
  /** Only those of this enterprise. */
  readonly enterpriseId?: string;
  /** Those of another user in an organisation, in place of the account's own. */
  readonly member?: { readonly userId: string; readonly accountId: string };
  /** 1–50, default 50. */
  readonly pageSize?: number;
}

/** Workspaces (coze-api.md §12.3). Every method throws {@link CozeError}. */
export class WorkspacesApi {
  readonly #http: CozeHttp;

  constructor(http: CozeHttp) {
    this.#http = http;
  }

  /** All of them, page by page as they are read; the reader may stop early. */
  list(options: ListWorkspacesOptions): AsyncIterable<Workspace> {
    return readNumbered((pageNumber) => this.page({ ...options, pageNumber }), {
      toId: ({ workspaceId }) => workspaceId,
      call: "GET /v1/workspaces",
    });
  }

  async page(options: ListWorkspacesOptions & PageNumber): Promise<NumberedPage<Workspace>> {
    const { enterpriseId, member, signal } = options;
    const query = {
      ...toPageQuery(options),
      enterprise_id: enterpriseId,
      user_id: member?.userId,
      coze_account_id: member?.accountId,
    };
    const call: CozeCall = { method: "GET", path: "/v1/workspaces", query, signal };
    const page = await this.#http.call(call, workspacePageSchema);
    return toCountedPage(page.workspaces.map(toWorkspace), page.total_count, options);
  }
}

function toWorkspace(workspace: WireWorkspace): Workspace {
  return {
    workspaceId: workspace.id,
    name: workspace.name,
    description: workspace.description,
    iconUrl: workspace.icon_url,
    role: workspace.role_type,
    type: workspace.workspace_type,
    ownerId: workspace.owner_uid,
    enterpriseId: workspace.enterprise_id ?? "",
  };
}
