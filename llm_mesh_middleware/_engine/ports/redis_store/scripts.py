"""The two scripts, and how requests are written for them.

They compute what `_core.limiting.bucket` and the store in memory do, by the clock of the server, in
whole microseconds since 2025: a double holds these exactly for a long time to come.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1

from ...._core.limiting.claims import (
    BucketChange,
    BucketClaim,
    Change,
    Claim,
    Outcome,
    Reserve,
    Reserved,
)
from ..memory import SLOT_WAIT_US

__all__ = ["RESERVE", "SETTLE", "Script", "read_reserved", "reserve_call", "settle_call"]

# For so long a settlement may be sent again without being applied twice.
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
-- ARGV: the slot's name; then for each key its kind, whether in shadow, and two numbers:
-- need and capacity of a bucket, the most slots and how long one is held.
local waits, granted = {}, 1
for i, key in ipairs(KEYS) do
  local at = 4 * i - 2
  local a, b = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local wait = 0
  if ARGV[at] == 'b' then
    wait = math.max(0, full_at_of(key) - now + math.min(a, b) - b)
  else
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    if redis.call('ZCARD', key) >= a then wait = SLOT_WAIT end
  end
  waits[i] = wait
  if wait > 0 and ARGV[at + 1] == '0' then granted = 0 end
end
local answer = {granted}
for i, key in ipairs(KEYS) do
  local at = 4 * i - 2
  local a, b = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local is_taken = granted == 1 and waits[i] == 0
  local left
  if ARGV[at] == 'b' then
    local full_at = full_at_of(key)
    if is_taken then
      full_at = full_at + a
      put(key, full_at)
    end
    left = b - (full_at - now)
  else
    if is_taken then
      redis.call('ZADD', key, now + b, ARGV[1])
      local hold = math.ceil(b / 1000)
      if redis.call('PTTL', key) < hold then redis.call('PEXPIRE', key, hold) end
    end
    left = a - redis.call('ZCARD', key)
  end
  answer[2 * i] = waits[i]
  answer[2 * i + 1] = left
end
return answer
""".replace("SLOT_WAIT", str(SLOT_WAIT_US))
)

_SETTLE = (
    _NOW
    + """
-- ARGV: for each key its kind, and the change of a bucket or the name of a slot to give back.
-- The last key marks what has been applied: who got no answer asks again.
if not redis.call('SET', KEYS[#KEYS], '1', 'NX', 'PX', MARK_MS) then return 0 end
for i = 1, #KEYS - 1 do
  local key = KEYS[i]
  if ARGV[2 * i - 1] == 'b' then
    put(key, full_at_of(key) + tonumber(ARGV[2 * i]))
  else
    redis.call('ZREM', key, ARGV[2 * i])
  end
end
return 1
""".replace("MARK_MS", str(_MARK_MS))
)


class Script:
    """A script with the digest that a server knows it by."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


RESERVE = Script(_RESERVE)
SETTLE = Script(_SETTLE)


def reserve_call(claims: Sequence[Claim], prefix: str, slot: str) -> list[str | int]:
    """Return the arguments of `RESERVE` behind the digest: the number of keys, keys, values."""
    values: list[str | int] = [slot]
    for claim in claims:
        shadow = int(claim.is_shadow)
        if isinstance(claim, BucketClaim):
            values += ("b", shadow, claim.need_us, claim.capacity_us)
        else:
            values += ("s", shadow, claim.slots, claim.hold_us)
    return [len(claims), *(f"{prefix}:{claim.key}" for claim in claims), *values]


def settle_call(changes: Sequence[Change], prefix: str, name: str) -> list[str | int]:
    """Return the arguments of `SETTLE` behind the digest; `name` is that of these changes."""
    values: list[str | int] = []
    for change in changes:
        if isinstance(change, BucketChange):
            values += ("b", change.change_us)
        else:
            values += ("s", change.slot)
    mark = f"{prefix}:{changes[0].key.rpartition(':')[0]}:{name}"  # on the same node
    keys = (*(f"{prefix}:{change.key}" for change in changes), mark)
    return [len(keys), *keys, *values]


def read_reserved(answer: Sequence[int], request: Reserve, slot: str) -> Reserved:
    """Return what `RESERVE` has answered."""
    is_granted, *numbers = answer
    outcomes = tuple(
        Outcome(wait, left) for wait, left in zip(numbers[::2], numbers[1::2], strict=True)
    )
    return Reserved(bool(is_granted), outcomes, slot if is_granted else "")
