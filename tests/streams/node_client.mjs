// One use of the OpenAI SDK: `node node_client.mjs USE BASE_URL` prints what it brings as JSON.

import OpenAI from "openai";

const [use, baseURL] = process.argv.slice(2);
const asked = { model: "m-1", messages: [{ role: "user", content: "Good morning" }] };
const tools = [{ type: "function", function: { name: "City", parameters: { type: "object" } } }];

const client = new OpenAI({
  baseURL,
  apiKey: "not-for-providers",
  maxRetries: 0,
  timeout: 5000,
});

async function chunks(more = {}) {
  const found = [];
  const stream = await client.chat.completions.create({ ...asked, stream: true, ...more });
  for await (const chunk of stream) found.push(chunk);
  return found;
}

const uses = {
  whole: () => client.chat.completions.create(asked),
  stream: () => chunks(),
  stream_with_counts: () => chunks({ stream_options: { include_usage: true } }),
  tools: () => client.chat.completions.stream({ ...asked, tools }).finalChatCompletion(),
  refused: () => client.chat.completions.create(asked),
  limited: () => chunks(),
  error_event: () => chunks(),
};

const headers = ["retry-after", "x-ratelimit-remaining-requests", "content-type"];

function shown(error) {
  const { name, message, status, code, type, param, requestID } = error;
  const kept = Object.fromEntries(headers.map((key) => [key, error.headers?.get(key) ?? null]));
  return { kind: error.constructor.name, name, message, status, code, type, param, requestID, kept };
}

let result;
try {
  result = { value: await uses[use]() };
} catch (error) {
  result = { error: shown(error) };
}
process.stdout.write(JSON.stringify(result));
