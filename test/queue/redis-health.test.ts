import { expect, it } from "vitest";
import { judgeRedis, memoryShare, parseInfo, type RedisFacts } from "../../src/queue/redis-health.ts";

const SOUND = {
  redis_version: "7.0.15",
  role: "master",
  loading: "0",
  aof_enabled: "1",
  aof_last_write_status: "ok",
  rdb_last_bgsave_status: "ok",
  maxmemory: "0",
  maxmemory_policy: "noeviction",
  used_memory: "1000",
  connected_slaves: "0",
};

function judge(changes: Partial<Record<keyof typeof SOUND | "cluster_enabled", string>>, more = {}) {
  const facts: RedisFacts = {
    info: { ...SOUND, ...changes },
    appendfsync: "everysec",
    aheadMs: 0,
    database: 0,
    ...more,
  };
  return judgeRedis(facts, "host:6379");
}

it("has nothing to say about a Redis that is set up well", () => {
  expect(judge({})).toEqual({ refusal: undefined, ok: true, notes: [] });
});

it.each([
  ["6.0.16", "CONFIG_INVALID", "Redis at host:6379 is 6.0.16, 6.2 or newer is needed"],
  ["2.8.0", "CONFIG_INVALID", "6.2 or newer"],
])("refuses version %s", (redis_version, code, words) => {
  const { refusal } = judge({ redis_version });
  expect(refusal).toMatchObject({ code });
  expect(refusal?.message).toContain(words);
});

it.each(["6.2.0", "7.0.15", "8.1.2", "10.0.0"])("takes version %s", (redis_version) => {
  expect(judge({ redis_version }).refusal).toBeUndefined();
});

it("refuses a replica, which may be the primary soon", () => {
  expect(judge({ role: "slave" }).refusal).toMatchObject({ code: "QUEUE_UNAVAILABLE", retryable: true });
  expect(judge({ role: "slave" }).refusal?.message).toContain("read-only replica");
});

it("refuses a numbered database of a Cluster, which has none", () => {
  expect(judge({ cluster_enabled: "1" }, { database: 2 }).refusal).toMatchObject({
    code: "CONFIG_INVALID",
    message: "Redis at host:6379 is a Cluster, which has only database 0: take /2 out of REDIS_URL",
  });
  expect(judge({ cluster_enabled: "1" }).refusal).toBeUndefined();
  expect(judge({}, { database: 2 }).refusal).toBeUndefined();
});

it("refuses a Redis that drops keys when it is full", () => {
  const evicting = { maxmemory: "1000000", maxmemory_policy: "allkeys-lru" };
  expect(judge(evicting).refusal).toMatchObject({ code: "CONFIG_INVALID", retryable: false });
  expect(judge(evicting).refusal?.message).toContain("set maxmemory-policy noeviction");
  // Without a limit nothing is ever dropped.
  expect(judge({ maxmemory_policy: "allkeys-lru" }).refusal).toBeUndefined();
});

it.each([
  [{ aof_enabled: "0" }, {}, true, "a restart of Redis loses accepted messages"],
  [{}, { appendfsync: "no" }, true, "up to 30 s of accepted messages may be lost"],
  [{}, { aheadMs: -2_500 }, true, "2.5 s apart"],
  [{ connected_slaves: "1" }, {}, true, "a failover may lose the last writes"],
  [{ cluster_enabled: "1" }, {}, true, "a failover may lose the last writes"],
  [{ maxmemory: "1000", used_memory: "700" }, {}, true, "uses 70 % of its memory, from 85 % on"],
  [{ maxmemory: "1000", used_memory: "850" }, {}, false, "uses 85 % of its memory: new messages are refused"],
  [{ loading: "1" }, {}, false, "still loading"],
  [{ aof_last_write_status: "err" }, {}, false, "append-only file: writes are refused"],
  [{ rdb_last_bgsave_status: "err" }, {}, false, "can't save its snapshot"],
])("says of %j %j what an operator should know", (changes, more, ok, words) => {
  const verdict = judge(changes, more);
  expect(verdict.refusal).toBeUndefined();
  expect(verdict.ok).toBe(ok);
  expect(verdict.notes.length).toBe(1);
  expect(verdict.notes.join()).toContain(words);
});

it("does not complain of what a managed Redis does not tell", () => {
  expect(judge({}, { appendfsync: undefined }).notes).toEqual([]);
});

it("reads INFO as Redis writes it", () => {
  const info = parseInfo("# Memory\r\nused_memory:50\r\nmaxmemory:200\r\n\r\nexecutable:/usr/bin/a:b\r\n");
  expect(info).toEqual({ used_memory: "50", maxmemory: "200", executable: "/usr/bin/a:b" });
  expect(memoryShare(info)).toBe(0.25);
});
