-- What the mesh does to one request, for Envoy's Lua filter.
--
-- The backend that the route has drawn comes as the filter context:
--   targets   list of {suffix, target, generates, streams}: where each operation is served
--   model     JSON text of the model, or ""
--   stream    "true", "false" or ""

local FORWARDED = {
  ["content-type"] = true, ["idempotency-key"] = true, ["traceparent"] = true,
  ["tracestate"] = true, ["user-agent"] = true, ["x-request-id"] = true,
}
local FAMILIES = {"accept", "anthropic-", "openai-", "x-dashscope-", "x-stainless-"}
local ACCOUNT_WORDS = {
  "account", "auth", "billing", "key", "org", "project", "secret", "tenant", "token", "workspace",
}
local HIDDEN = {
  "set-cookie", "set-cookie2", "strict-transport-security", "clear-site-data", "refresh", "link",
  "location", "alt-svc", "server", "x-accel-redirect", "access-control-allow-origin",
  "access-control-allow-credentials", "access-control-allow-methods",
  "access-control-allow-headers", "access-control-expose-headers", "access-control-max-age",
}
local TAIL = 64

local function is_forwarded(name)
  if name:sub(1, 1) == ":" or FORWARDED[name] then return true end
  if name == "accept-encoding" then return false end
  for _, family in ipairs(FAMILIES) do
    if name:sub(1, #family) == family then
      for _, word in ipairs(ACCOUNT_WORDS) do
        if name:find(word, 1, true) then return false end
      end
      return true
    end
  end
  return false
end

local function refuse(handle, status, code, message)
  local text = '{"error":{"message":"' .. message ..
    '","type":"invalid_request_error","param":null,"code":"' .. code .. '"}}'
  handle:respond({[":status"] = tostring(status), ["content-type"] = "application/json"}, text)
end

-- Return the position behind the JSON string that begins at `at`, and whether it has escapes.
local function skip_string(text, at)
  local has_escapes = false
  at = at + 1
  while true do
    local found = text:find('["\\]', at)
    if not found then return nil end
    if text:byte(found) == 34 then return found + 1, has_escapes end
    has_escapes = true
    at = found + 2
  end
end

-- Return the position behind the JSON value that begins at `at`.
local function skip_value(text, at)
  local first = text:byte(at)
  if first == 34 then return (skip_string(text, at)) end
  if first ~= 123 and first ~= 91 then return text:find("[%s,%]}]", at) end
  local depth = 0
  while true do
    local found = text:find('[%[%]{}"]', at)
    if not found then return nil end
    local byte = text:byte(found)
    if byte == 34 then
      at = skip_string(text, found)
      if not at then return nil end
    else
      depth = depth + ((byte == 123 or byte == 91) and 1 or -1)
      at = found + 1
      if depth == 0 then return at end
    end
  end
end

-- Return the members of a JSON object as {name, first, last} of each value; nil if it is none.
local function read_members(text)
  local members = {}
  local at = text:match("^%s*{()")
  if not at then return nil end
  at = text:match("^%s*()", at)
  if text:byte(at) == 125 then return members, at end
  while true do
    if text:byte(at) ~= 34 then return nil end
    local after, has_escapes = skip_string(text, at)
    -- Escapes could spell a name that is set below, and a provider may take the last one.
    if not after or has_escapes then return nil end
    local name = text:sub(at + 1, after - 2)
    local first = text:match("^%s*:%s*()", after)
    if not first then return nil end
    local behind = skip_value(text, first)
    if not behind or behind == first then return nil end
    members[#members + 1] = {name, first, behind - 1}
    local mark, next_at = text:match("^%s*([,}])%s*()", behind)
    if mark == "}" then return members, text:match("^%s*()", behind) end
    if mark ~= "," then return nil end
    at = next_at
  end
end

-- Return the object with a member set: in its place, or as the last one.
local function set_member(text, name, value)
  local members, closing = read_members(text)
  local pieces, at, is_set = {}, 1, false
  for _, member in ipairs(members) do
    if member[1] == name then
      pieces[#pieces + 1] = text:sub(at, member[2] - 1) .. value
      at, is_set = member[3] + 1, true
    end
  end
  if not is_set then
    local comma = #members > 0 and "," or ""
    pieces[#pieces + 1] = text:sub(at, closing - 1) .. comma .. '"' .. name .. '":' .. value
    at = closing
  end
  pieces[#pieces + 1] = text:sub(at)
  return table.concat(pieces)
end

local function find_target(targets, path)
  local bare = path:match("^[^?]*")
  if bare == "/" then bare = targets[1].suffix end
  bare = bare:gsub("(.)/$", "%1")
  for _, each in ipairs(targets) do
    if bare:sub(-#each.suffix) == each.suffix or bare == each.target then return each end
  end
end

local function note(handle, name, value)
  handle:streamInfo():dynamicMetadata():set("llm_mesh", name, value)
end

function envoy_on_request(handle)
  local backend = handle:filterContext():get("backend")
  if not backend then return end
  local headers = handle:headers()
  note(handle, "authority", headers:get(":authority"))
  local found = find_target(backend.targets, headers:get(":path"))
  if not found then
    return refuse(handle, 404, "unsupported_operation", "the path is none that the mesh knows")
  end
  if headers:get(":method") ~= found.method then
    return refuse(handle, 405, "method_not_allowed", "use " .. found.method)
  end
  local dropped = {}
  for name in pairs(headers) do
    if not is_forwarded(name) then dropped[#dropped + 1] = name end
  end
  for _, name in ipairs(dropped) do headers:remove(name) end
  headers:replace(":path", found.target)
  headers:replace("accept-encoding", "identity")
  if found.method ~= "POST" then return end
  headers:replace("content-type", "application/json")
  local body = handle:body(true)
  local text = body:getBytes(0, body:length())
  if not read_members(text) then
    return refuse(handle, 400, "invalid_json", "the body is not one JSON object")
  end
  if found.generates and backend.model ~= "" then text = set_member(text, "model", backend.model) end
  if found.streams and backend.stream ~= "" then
    text = set_member(text, "stream", backend.stream)
  end
  for _, member in ipairs((read_members(text))) do
    if member[1] == "model" then
      note(handle, "request_model", (text:sub(member[2], member[3]):gsub('^"(.*)"$', "%1")))
    end
  end
  -- To wait for the body has ended the scope of `headers`.
  handle:headers():replace("content-length", tostring(body:setBytes(text)))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  for _, name in ipairs(HIDDEN) do headers:remove(name) end
  headers:replace("x-content-type-options", "nosniff")
  local counts = {}
  local tail = ""
  for chunk in handle:bodyChunks() do
    local text = tail .. chunk:getBytes(0, chunk:length())
    for name, count in text:gmatch('"([a-z]+_tokens)"%s*:%s*(%d+)%f[%D]') do counts[name] = count end
    tail = text:sub(-TAIL)
  end
  note(handle, "request_prompt_tokens", counts.prompt_tokens or counts.input_tokens or "-")
  note(handle, "request_completion_tokens", counts.completion_tokens or counts.output_tokens or "-")
end
