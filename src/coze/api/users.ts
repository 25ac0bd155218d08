import type { Abortable } from "../../core/ports.ts";
import type { CozeCall, CozeHttp } from "../http.ts";
import { userSchema } from "../wire/users.ts";

/** The account behind a token (coze-api.md §12.3). */
export interface CozeUser {
  readonly userId: string;
  readonly userName: string;
  readonly nickName: string;
  readonly avatarUrl: string;
}

/** Users (coze-api.md §12.3). Every method throws {@link CozeError}. */
export class UsersApi {
  readonly #http: CozeHttp;

  constructor(http: CozeHttp) {
    this.#http = http;
  }

  /** Whose token this is; the cheapest proof that it is accepted. */
  async me({ signal }: Abortable): Promise<CozeUser> {
    const call: CozeCall = { method: "GET", path: "/v1/users/me", signal };
    const user = await this.#http.call(call, userSchema);
    return {
      userId: user.user_id,
      userName: user.user_name,
      nickName: user.nick_name,
      avatarUrl: user.avatar_url,
    };
  }
}
