import { describeQueueContract } from "../contract/queue-contract.ts";
import { startSqliteBackend } from "./embedded.ts";

describeQueueContract("sqlite", () => startSqliteBackend());
