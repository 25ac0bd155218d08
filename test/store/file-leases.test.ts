import { createFileLeases } from "../../src/store/file-leases.ts";
import { describeLeaseContract } from "../contract/lease-contract.ts";

describeLeaseContract("file", () =>
  Promise.resolve({ leases: createFileLeases(), [Symbol.asyncDispose]: () => Promise.resolve() }),
);
