/**
 * The mailboxes' steps, each one atomic in Redis and safe to run twice: a client that lost its connection sends
 * again what got no answer (docs/reference/queue.md §3, §8.3).
 *
 * Keys, all below the root `{prefix}:` and so in one slot of a Cluster:
 * `turn:<id>` hash of an unfinished turn (key, lane, payload, group, written, at, server; starts, tries, crashes, cancel; of
 * the first of a batch also n, run, state) · `box:<lane>` list of its turns' ids, the first is running or next · `dup:<key>`
 * id of the turn of a platform event · `seq` last id · `age` unfinished turns by arrival · `dead`, `grave:<id>` dead
 * letters · `cancel:<database>` channel. BullMQ has `{prefix}:turns:…` for itself.
 */
const PRELUDE = `
local root = KEYS[1]
local function turnKey(id) return root .. 'turn:' .. id end
local function boxKey(lane) return root .. 'box:' .. lane end
local function dupKey(key) return root .. 'dup:' .. key end
local function nowMs()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function text(number) return string.format('%.0f', number) end
`;

/** A turn leaves: its key is known for the rest of the window, counted from when it was accepted. */
const RETIRE = `
local function retire(id, dedupeMs, problem, maxDead)
  local turn = turnKey(id)
  local found = redis.call('HMGET', turn, 'key', 'at')
  redis.call('ZREM', root .. 'age', id)
  if not found[1] then return end
  local dup = dupKey(found[1])
  -- A time that has passed already removes the key.
  if redis.call('GET', dup) == id then redis.call('PEXPIREAT', dup, text(tonumber(found[2]) + dedupeMs)) end
  if problem == '' then
    redis.call('DEL', turn)
    return
  end
  local now = text(nowMs())
  redis.call('HSET', turn, 'error', problem, 'died', now)
  redis.call('RENAME', turn, root .. 'grave:' .. id)
  redis.call('ZADD', root .. 'dead', now, id)
  if redis.call('ZCARD', root .. 'dead') > maxDead then
    local oldest = redis.call('ZPOPMIN', root .. 'dead')
    redis.call('DEL', root .. 'grave:' .. oldest[1])
  end
end

-- Returns the ids that left.
local function retireBatch(lane, size, dedupeMs, problem, maxDead)
  local ids = redis.call('LPOP', boxKey(lane), size) or {}
  for _, id in ipairs(ids) do retire(id, dedupeMs, problem, maxDead) end
  return ids
end
`;

/**
 * key, lane, payload, per conversation, total, deadline or '', starts that it counts as having had or '', name of the Redis
 * that accepts it or '', then group and time written if it may merge → kind, id, ahead
 */
const ENQUEUE = `${PRELUDE}
local key, lane, payload = ARGV[1], ARGV[2], ARGV[3]
local known = redis.call('GET', dupKey(key))
if known then
  local its = redis.call('HGET', turnKey(known), 'lane')
  local ahead = its and redis.call('LPOS', boxKey(its), known) or 0
  -- Brought anew to this Redis by somebody who did not know that an earlier one may have started it.
  if its and ARGV[7] ~= '' and redis.call('HGET', turnKey(known), 'server') == ARGV[8] then
    redis.call('HSETNX', turnKey(known), 'starts', ARGV[7])
  end
  return {'duplicate', known, ahead}
end
local now = nowMs()
if ARGV[6] ~= '' and now > tonumber(ARGV[6]) then return {'late'} end
local ahead = redis.call('LLEN', boxKey(lane))
if ahead >= tonumber(ARGV[4]) then return {'conversation-full'} end
if redis.call('ZCARD', root .. 'age') >= tonumber(ARGV[5]) then return {'full'} end
local id = text(redis.call('INCR', root .. 'seq'))
redis.call('HSET', turnKey(id), 'key', key, 'lane', lane, 'payload', payload, 'at', text(now), 'server', ARGV[8])
if ARGV[7] ~= '' then redis.call('HSET', turnKey(id), 'starts', ARGV[7]) end
if ARGV[9] then redis.call('HSET', turnKey(id), 'group', ARGV[9], 'written', ARGV[10]) end
redis.call('RPUSH', boxKey(lane), id)
redis.call('ZADD', root .. 'age', text(now), id)
redis.call('SET', dupKey(key), id)
return {'accepted', id, ahead}
`;

/**
 * lane, token, most merged, merge within ms, most crashes, dedupe, most dead, lock key, lock token, BullMQ's meta key,
 * name of this Redis or '' → kind, buried ids, [starts, tries, cancelled, state, crashed, crashes], then one
 * [id, key, payload, at] per turn.
 *
 * Kind is `lost` when BullMQ's lock is not ours any more: a late or repeated start must not take the turn from the
 * worker that has it now. Kind is `paused` when the queue was paused since BullMQ gave us the conversation.
 */
const BEGIN = `${PRELUDE}${RETIRE}
-- A Redis that has died since had the turn in hand: that it was started may be what was lost.
local function mayHaveLostStart(server) return server and server ~= ARGV[11] end
local function perhapsStarted(starts, server)
  return tonumber(starts or '0') > 0 or mayHaveLostStart(server)
end
local function joins(before, turn, withinMs)
  if before[3] or turn[3] or not turn[1] or before[1] ~= turn[1] then return false end
  return math.abs(tonumber(turn[2]) - tonumber(before[2])) <= withinMs
end
local lane, token, maxMerge = ARGV[1], ARGV[2], tonumber(ARGV[3])
local withinMs = tonumber(ARGV[4])
local maxCrashes, dedupeMs, maxDead = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
if redis.call('GET', ARGV[8]) ~= ARGV[9] then return {'lost', {}} end
if redis.call('HEXISTS', ARGV[10], 'paused') == 1 then return {'paused', {}} end
local box = boxKey(lane)
local buried, crashed = {}, 0
local ids, head, facts, crashes
while true do
  ids = redis.call('LRANGE', box, 0, maxMerge - 1)
  head = ids[1]
  if not head then return {'empty', buried} end
  facts = redis.call('HMGET', turnKey(head),
    'run', 'n', 'starts', 'tries', 'cancel', 'state', 'key', 'payload', 'at', 'group', 'written', 'server', 'crashes')
  local run = facts[1]
  crashes = tonumber(facts[13] or '0')
  if not facts[7] then
    redis.call('LPOP', box)
  elseif run and run ~= token then
    -- Nobody ended that run: its process died, or was cut off for longer than its lease.
    redis.call('HDEL', turnKey(head), 'run')
    crashed = 1
    crashes = redis.call('HINCRBY', turnKey(head), 'crashes', 1)
    -- As mayStartAgain in outcome.ts.
    if crashes <= maxCrashes then break end
    local problem = 'its process died ' .. text(crashes) .. ' times while it ran'
    for _, id in ipairs(retireBatch(lane, tonumber(facts[2] or '1'), dedupeMs, problem, maxDead)) do
      table.insert(buried, id)
    end
    crashed = 0
  else
    break
  end
end
-- Fixed at the first start, so that a later one answers the same turns its checkpoint is about (queue.md §8.12).
local size = tonumber(facts[2] or '0')
if size == 0 then
  -- As batchSize in outcome.ts.
  local before = {facts[10], facts[11], facts[5] or perhapsStarted(facts[3], facts[12])}
  size = 1
  while ids[size + 1] do
    local turn = redis.call('HMGET', turnKey(ids[size + 1]), 'group', 'written', 'cancel', 'starts', 'server')
    turn[3] = turn[3] or perhapsStarted(turn[4], turn[5])
    if not joins(before, turn, withinMs) then break end
    before = turn
    size = size + 1
  end
end
local starts = facts[3] or '0'
if facts[1] ~= token then
  local lost = mayHaveLostStart(facts[12]) and 1 or 0
  starts = text(tonumber(starts) + lost + 1)
  redis.call('HSET', turnKey(head), 'n', size, 'run', token, 'starts', starts, 'server', ARGV[11])
end
local how = {starts, facts[4] or '0', facts[5] or '0', facts[6], crashed, text(crashes)}
local answer = {'run', buried, how, {head, facts[7], facts[8], facts[9]}}
if size > 1 then
  ids = redis.call('LRANGE', box, 1, size - 1)
  for _, id in ipairs(ids) do
    local one = redis.call('HMGET', turnKey(id), 'key', 'payload', 'at')
    if one[1] then table.insert(answer, {id, one[1], one[2], one[3]}) end
  end
end
return answer
`;

/** head, token, state or '' → 0 not ours, 1 saved, 2 saved and a cancel is wanted */
const SAVE = `${PRELUDE}
local turn = turnKey(ARGV[1])
if redis.call('HGET', turn, 'run') ~= ARGV[2] then return 0 end
if ARGV[3] ~= '' then redis.call('HSET', turn, 'state', ARGV[3]) end
return redis.call('HEXISTS', turn, 'cancel') + 1
`;

/** lane, head, token, dedupe, problem or '', most dead → turns left, −1 when not ours (or done already) */
const FINISH = `${PRELUDE}${RETIRE}
local lane, head = ARGV[1], ARGV[2]
local facts = redis.call('HMGET', turnKey(head), 'run', 'n')
if facts[1] ~= ARGV[3] then return -1 end
retireBatch(lane, tonumber(facts[2] or '1'), tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6]))
return redis.call('LLEN', boxKey(lane))
`;

/** head, token, counts → 1 released, 2 released and a cancel is wanted, −1 not ours (or released already) */
const RELEASE = `${PRELUDE}
local turn = turnKey(ARGV[1])
if redis.call('HGET', turn, 'run') ~= ARGV[2] then return -1 end
redis.call('HDEL', turn, 'run')
if ARGV[3] == '1' then redis.call('HINCRBY', turn, 'tries', 1) end
return redis.call('HEXISTS', turn, 'cancel') + 1
`;

/** id, channel → lane, whether it is first, and which turn carries the mark; nothing when unknown */
const CANCEL = `${PRELUDE}
local id = ARGV[1]
local lane = redis.call('HGET', turnKey(id), 'lane')
if not lane then return false end
local head = redis.call('LINDEX', boxKey(lane), 0)
local size = tonumber(redis.call('HGET', turnKey(head), 'n') or '1')
local isFirst = (redis.call('LPOS', boxKey(lane), id) or 0) < size
-- A batch stays together: who cancels one of it cancels all of it.
local target = isFirst and head or id
redis.call('HSET', turnKey(target), 'cancel', '1')
redis.call('PUBLISH', ARGV[2], target)
return {lane, isFirst and 1 or 0, target}
`;

/** ids → those whose cancel is wanted */
const CANCELLED = `${PRELUDE}
local found = {}
for _, id in ipairs(ARGV) do
  if redis.call('HEXISTS', turnKey(id), 'cancel') == 1 then table.insert(found, id) end
end
return found
`;

const WAITING_PRELUDE = `${PRELUDE}
local function waitingPayload(id)
  local found = redis.call('HMGET', turnKey(id), 'lane', 'payload')
  if not found[1] then return false end
  local position = redis.call('LPOS', boxKey(found[1]), id)
  local head = redis.call('LINDEX', boxKey(found[1]), 0)
  -- The batch of the first turn is fixed at its first start: all of it counts as started.
  if not position or position < tonumber(redis.call('HGET', turnKey(head), 'n') or '0') then return false end
  return found[2]
end
`;

/** id → payload of a turn that was accepted and never started; nothing otherwise */
const WAITING = `${WAITING_PRELUDE}
return waitingPayload(ARGV[1])
`;

/** id, payload before, payload after, then another key and dedupe → 0 not waiting, 1 amended, 2 somebody else was faster */
const AMEND = `${WAITING_PRELUDE}
local payload = waitingPayload(ARGV[1])
if not payload then return 0 end
if payload ~= ARGV[3] then
  if payload ~= ARGV[2] then return 2 end
  redis.call('HSET', turnKey(ARGV[1]), 'payload', ARGV[3])
end
if ARGV[4] then redis.call('SET', dupKey(ARGV[4]), ARGV[1], 'PX', ARGV[5]) end
return 1
`;

/** → unfinished, dead, age of the oldest in ms */
const COUNT = `${PRELUDE}
local oldest = redis.call('ZRANGE', root .. 'age', 0, 0, 'WITHSCORES')
local age = oldest[2] and math.max(0, nowMs() - tonumber(oldest[2])) or 0
return {redis.call('ZCARD', root .. 'age'), redis.call('ZCARD', root .. 'dead'), age}
`;

/** first, count → how many were looked at, then their lanes, oldest first */
const LANES = `${PRELUDE}
local first, count = tonumber(ARGV[1]), tonumber(ARGV[2])
local ids = redis.call('ZRANGE', root .. 'age', first, first + count - 1)
local lanes, seen = {#ids}, {}
for _, id in ipairs(ids) do
  local lane = redis.call('HGET', turnKey(id), 'lane')
  if not lane then redis.call('ZREM', root .. 'age', id)
  elseif not seen[lane] then
    seen[lane] = true
    table.insert(lanes, lane)
  end
end
return lanes
`;

/** limit → one [id, key, lane, error, died] per dead letter, newest first */
const DEAD = `${PRELUDE}
local found = {}
for _, id in ipairs(redis.call('ZREVRANGE', root .. 'dead', 0, tonumber(ARGV[1]) - 1)) do
  local grave = redis.call('HMGET', root .. 'grave:' .. id, 'key', 'lane', 'error', 'died')
  if grave[1] then table.insert(found, {id, grave[1], grave[2], grave[3], grave[4]}) end
end
return found
`;

/** id, name of this Redis or '' → lane; nothing when unknown */
const REQUEUE = `${PRELUDE}
local id = ARGV[1]
local grave, turn = root .. 'grave:' .. id, turnKey(id)
local found = redis.call('HMGET', grave, 'key', 'lane')
if not found[1] then return false end
local now = text(nowMs())
redis.call('HDEL', grave, 'error', 'died', 'starts', 'tries', 'crashes', 'cancel', 'n', 'run', 'state')
redis.call('HSET', grave, 'at', now, 'server', ARGV[2])
redis.call('RENAME', grave, turn)
redis.call('ZREM', root .. 'dead', id)
redis.call('RPUSH', boxKey(found[2]), id)
redis.call('ZADD', root .. 'age', now, id)
local dup = dupKey(found[1])
local known = redis.call('GET', dup)
if not known or known == id then redis.call('SET', dup, id) end
return found[2]
`;

/** id → 1 when it was there */
const DISCARD = `${PRELUDE}
redis.call('ZREM', root .. 'dead', ARGV[1])
return redis.call('DEL', root .. 'grave:' .. ARGV[1])
`;

export type MailboxScript =
  | "tqEnqueue"
  | "tqBegin"
  | "tqSave"
  | "tqFinish"
  | "tqRelease"
  | "tqCancel"
  | "tqCancelled"
  | "tqWaiting"
  | "tqAmend"
  | "tqCount"
  | "tqLanes"
  | "tqDead"
  | "tqRequeue"
  | "tqDiscard";

/** By the name of the command each becomes on our connections. */
export const MAILBOX_SCRIPTS: Readonly<Record<MailboxScript, string>> = {
  tqEnqueue: ENQUEUE,
  tqBegin: BEGIN,
  tqSave: SAVE,
  tqFinish: FINISH,
  tqRelease: RELEASE,
  tqCancel: CANCEL,
  tqCancelled: CANCELLED,
  tqWaiting: WAITING,
  tqAmend: AMEND,
  tqCount: COUNT,
  tqLanes: LANES,
  tqDead: DEAD,
  tqRequeue: REQUEUE,
  tqDiscard: DISCARD,
};
