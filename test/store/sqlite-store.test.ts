import { createSqliteStore } from "../../src/store/sqlite-store.ts";
import { describeStoreContract, type StoreBackend } from "../contract/store-contract.ts";
import { makeTestFolder, openTestFile } from "../queue/embedded.ts";

describeStoreContract("sqlite", startSqliteBackend);

async function startSqliteBackend(): Promise<StoreBackend> {
  const folder = await makeTestFolder();
  let file = await openTestFile(folder.path);
  let store = createSqliteStore(file);
  return {
    get store() {
      return store;
    },
    reopen: async () => {
      await file[Symbol.asyncDispose]();
      file = await openTestFile(folder.path);
      store = createSqliteStore(file);
    },
    [Symbol.asyncDispose]: async () => {
      await file[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
