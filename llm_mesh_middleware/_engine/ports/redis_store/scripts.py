"""The two scripts, and the arguments of requests for them.

They compute the same as `_core.limiting.bucket` and the store in memory, by the server's clock, in
whole microseconds since 2025, which a double represents exactly.

bucket    a string: the time at which it is full
slots     a sorted set: each slot by the time at which it expires
budget    a hash: money spent (`s`) and reserved (`h`)
          a sorted set under the same key with `:h`: `slot:amount` by the time at which it expires

The server adds money, because its integers are exact and a script's numbers are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha1

from ...._core.limiting.claims import (
    BucketChange,
    BucketClaim,
    BudgetChange,
    BudgetClaim,
    Change,
    Claim,
    Outcome,
    Reserved,
)
from ..memory import SLOT_WAIT_US
from ..memory_budgets import BUDGET_WAIT_US

__all__ = [
    "RESERVE",
    "SETTLE",
    "Arguments",
    "Script",
    "read_reserved",
    "reserve_call",
    "settle_call",
    "settle_command",
    "take_command",
]

# The number of keys, the keys, the values.
Arguments = list[str | int]

# A settlement that is sent again within this time is not applied twice.
_MARK_MS = 600_000

_NOW = """
local time = redis.call('TIME')
local now = (time[1] - 1735689600) * 1000000 + time[2]
local function put(key, full_at)
  if full_at > now then
    redis.call('SET', key, string.format('%.0f', full_at), 'PX',
               string.format('%.0f', math.ceil((full_at - now) / 1000) + 1000))
  else
    redis.call('DEL', key)
  end
end
local function full_at_of(key)
  return math.max(now, tonumber(redis.call('GET', key) or '0'))
end
"""

_RESERVE = (
    _NOW
    + """
-- ARGV: the slot's name; then for each key its kind, whether in shadow or soft, and four numbers:
-- need and capacity of a bucket; the most slots and how long one is held; need and amount of a
-- budget, how long it is reserved, and how long the budget is kept.
local function number(i, at) return tonumber(ARGV[6 * i - 4 + at]) end
local function is_kind(i, kind) return ARGV[6 * i - 4] == kind end
local function held_of(key)
  local ended = redis.call('ZRANGEBYSCORE', key .. ':h', '-inf', now)
  for _, member in ipairs(ended) do
    redis.call('HINCRBY', key, 'h', '-' .. string.match(member, '%d+$'))
    redis.call('ZREM', key .. ':h', member)
  end
  local both = redis.call('HMGET', key, 's', 'h')
  return tonumber(both[1] or '0'), tonumber(both[2] or '0'), #ended
end
local waits, expired, granted = {}, {}, 1
for i, key in ipairs(KEYS) do
  local a, b, wait = number(i, 2), number(i, 3), 0
  expired[i] = 0
  if is_kind(i, 'b') then
    wait = math.max(0, full_at_of(key) - now + math.min(a, b) - b)
  elseif is_kind(i, 'm') then
    local spent, held, ended = held_of(key)
    expired[i] = ended
    if spent + held + a > b then wait = BUDGET_WAIT end
  else
    expired[i] = redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    if redis.call('ZCARD', key) >= a then wait = SLOT_WAIT end
  end
  waits[i] = wait
  if wait > 0 and number(i, 1) == 0 then granted = 0 end
end
local answer = {granted}
for i, key in ipairs(KEYS) do
  local a, b = number(i, 2), number(i, 3)
  local is_taken = granted == 1 and waits[i] == 0
  local left, spent = 0, 0
  if is_kind(i, 'b') then
    local full_at = full_at_of(key)
    if is_taken then
      full_at = full_at + a
      put(key, full_at)
    end
    left = b - (full_at - now)
  elseif is_kind(i, 'm') then
    if granted == 1 then
      local hold, need, keep = number(i, 4), ARGV[6 * i - 2], ARGV[6 * i + 1]
      redis.call('HINCRBY', key, 'h', need)
      redis.call('ZADD', key .. ':h', string.format('%.0f', now + hold), ARGV[1] .. ':' .. need)
      redis.call('PEXPIRE', key, keep)
      redis.call('PEXPIRE', key .. ':h', keep)
    end
    local held
    spent, held = held_of(key)
    left = b - spent - held
  else
    if is_taken then
      redis.call('ZADD', key, now + b, ARGV[1])
      local hold = math.ceil(b / 1000)
      if redis.call('PTTL', key) < hold then redis.call('PEXPIRE', key, hold) end
    end
    left = a - redis.call('ZCARD', key)
  end
  answer[4 * i - 2] = waits[i]
  answer[4 * i - 1] = left
  answer[4 * i] = spent
  answer[4 * i + 1] = expired[i]
end
return answer
""".replace("SLOT_WAIT", str(SLOT_WAIT_US)).replace("BUDGET_WAIT", str(BUDGET_WAIT_US))
)

_SETTLE = (
    _NOW
    + """
-- ARGV: for each key its kind and four values: the change of a bucket; the name of a slot to give
-- back; or the name, the reserved and the spent amount of a budget, and how long it is kept.
-- The last key marks an applied settlement, which is sent again if its answer was lost.
if not redis.call('SET', KEYS[#KEYS], '1', 'NX', 'PX', MARK_MS) then return 0 end
for i = 1, #KEYS - 1 do
  local key, kind, value = KEYS[i], ARGV[5 * i - 4], ARGV[5 * i - 3]
  if kind == 'b' then
    put(key, full_at_of(key) + tonumber(value))
  elseif kind == 'm' then
    local reserved, spent, keep = ARGV[5 * i - 2], ARGV[5 * i - 1], ARGV[5 * i]
    if redis.call('ZREM', key .. ':h', value .. ':' .. reserved) == 1 then
      redis.call('HINCRBY', key, 'h', '-' .. reserved)
    end
    redis.call('HINCRBY', key, 's', spent)
    redis.call('PEXPIRE', key, keep)
  else
    redis.call('ZREM', key, value)
  end
end
return 1
""".replace("MARK_MS", str(_MARK_MS))
)


class Script:
    """A script, and the digest by which a server finds it."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


RESERVE = Script(_RESERVE)
SETTLE = Script(_SETTLE)


def reserve_call(claims: Sequence[Claim], prefix: str, slot: str) -> Arguments:
    """Return the arguments of `RESERVE`, after the digest."""
    only = claims[0]
    if len(claims) == 1 and isinstance(only, BucketClaim):  # as most are
        numbers = only.need_us, only.capacity_us, 0, 0
        return [1, f"{prefix}:{only.key}", slot, "b", int(only.is_shadow), *numbers]
    values: list[str | int] = [slot]
    for claim in claims:
        shadow = int(claim.is_shadow)
        if isinstance(claim, BucketClaim):
            values += ("b", shadow, claim.need_us, claim.capacity_us, 0, 0)
        elif isinstance(claim, BudgetClaim):
            keep_ms = claim.keep_us // 1000
            values += ("m", shadow, claim.need, claim.amount, claim.hold_us, keep_ms)
        else:
            values += ("s", shadow, claim.slots, claim.hold_us, 0, 0)
    return [len(claims), *(f"{prefix}:{claim.key}" for claim in claims), *values]


def settle_call(changes: Sequence[Change], prefix: str, name: str) -> Arguments:
    """Return the arguments of `SETTLE`, after the digest; `name` identifies these changes."""
    values: list[str | int] = []
    for change in changes:
        if isinstance(change, BucketChange):
            values += ("b", change.change_us, 0, 0, 0)
        elif isinstance(change, BudgetChange):
            keep_ms = max(1, change.keep_us // 1000)
            values += ("m", change.slot, change.reserved, change.spent, keep_ms)
        else:
            values += ("s", change.slot, 0, 0, 0)
    keys = (*(f"{prefix}:{change.key}" for change in changes), _mark(changes, prefix, name))
    return [len(keys), *keys, *values]


def _mark(changes: Sequence[Change], prefix: str, name: str) -> str:
    """Return the key of the mark, which is on the same node."""
    return f"{prefix}:{changes[0].key.rpartition('}')[0]}}}:{name}"


def take_command(claim: BucketClaim, prefix: str) -> bytes:
    """Return the bytes of `RESERVE` for one bucket, whose script needs no slot.

    Only the need differs from call to call, so the rest is written once.
    """
    head, tail = _around(prefix, claim.key, claim.capacity_us)
    need = b"%d" % claim.need_us
    return b"%b$%d\r\n%b\r\n%b" % (head, len(need), need, tail)


@lru_cache(maxsize=4096)  # clients may choose what keys are made of
def _around(prefix: str, key: str, capacity_us: int) -> tuple[bytes, bytes]:
    """Return what is before and after the need."""
    name = f"{prefix}:{key}".encode()
    head = (b"EVALSHA", RESERVE.digest.encode(), b"1", name, b"", b"b", b"0")
    tail = (b"%d" % capacity_us, b"0", b"0")
    return b"*11\r\n" + b"".join(map(_argument, head)), b"".join(map(_argument, tail))


def settle_command(changes: Sequence[Change], prefix: str, name: str) -> bytes | None:
    """Return the bytes of `SETTLE` if all changes are of buckets, as most are."""
    keys, values = [], []
    for change in changes:
        if change.__class__ is not BucketChange:
            return None
        keys.append(_key(prefix, change.key))
        amount = b"%d" % change.change_us
        values.append(b"$1\r\nb\r\n$%d\r\n%b\r\n" % (len(amount), amount) + _ZEROS)
    size = len(keys)
    begin = (b"EVALSHA", SETTLE.digest.encode(), b"%d" % (size + 1))
    head = b"*%d\r\n" % (6 * size + 4) + b"".join(map(_argument, begin))
    mark = _mark(changes, prefix, name).encode()
    return b"".join((head, *keys, _argument(mark), *values))


@lru_cache(maxsize=4096)
def _key(prefix: str, key: str) -> bytes:
    return _argument(f"{prefix}:{key}".encode())


def _argument(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


_ZEROS = 3 * _argument(b"0")


def read_reserved(answer: Sequence[int], slot: str) -> Reserved:
    """Return the answer of `RESERVE` as a value."""
    if len(answer) == 5:  # of one claim
        is_granted, wait_us, left, spent, expired = answer
        outcome = Outcome(wait_us, left, spent, expired)
        return Reserved(is_granted == 1, (outcome,), slot if is_granted else "")
    is_granted, *numbers = answer
    outcomes = tuple(
        Outcome(*each)
        for each in zip(numbers[::4], numbers[1::4], numbers[2::4], numbers[3::4], strict=True)
    )
    return Reserved(bool(is_granted), outcomes, slot if is_granted else "")
