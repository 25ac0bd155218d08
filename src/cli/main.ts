#!/usr/bin/env node
import { demandNode } from "./demand-node.ts";

// Before anything else is loaded: an older Node does not even understand it, and says so in words for programmers.
demandNode(process.versions.node);
await import("./command-line.ts");
