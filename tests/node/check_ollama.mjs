// Ollama's library for Node against the server at argv[2]; throws an error at the first failed check.
import assert from "node:assert/strict";
import { Ollama } from "ollama";

const client = new Ollama({ host: process.argv[2] });
const models = ["gpt-4o", "gpt-5.5", "claude-opus-5", "gemini-2.5-pro"];
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};
const tools = [{ type: "function", function: { name: "get_weather", description: "", parameters } }];

async function chat(model) {
  const asked = { model, messages: [{ role: "user", content: "Count to five" }] };
  const whole = await client.chat(asked);
  let text = "";
  let last;
  for await (const part of await client.chat({ ...asked, stream: true })) {
    text += part.message.content;
    last = part;
  }
  assert.equal(text, whole.message.content);
  assert.match(text, /You said: Count to five/);
  assert.equal(last.done_reason, "stop");
  assert.ok(last.eval_count > 0);
}

async function chatTools(model) {
  const messages = [{ role: "user", content: "Use the tool: weather in Paris and London" }];
  const { message } = await client.chat({ model, messages, tools });
  const cities = message.tool_calls.map((call) => call.function.arguments);
  assert.deepEqual(cities, [{ city: "Paris" }, { city: "London" }]);
  messages.push(message);
  for (const call of message.tool_calls) {
    const content = `12 degrees in ${call.function.arguments.city}`;
    messages.push({ role: "tool", tool_name: call.function.name, content });
  }
  const last = await client.chat({ model, messages, tools });
  assert.match(last.message.content, /12 degrees in London/);
}

async function thinking() {
  const answer = await client.generate({ model: "gpt-5.5", prompt: "Why?", think: true });
  assert.ok(answer.thinking);
}

async function aborts() {
  const messages = [{ role: "user", content: "Write 5000 words" }];
  const stream = await client.chat({ model: "gpt-4o", messages, stream: true });
  await assert.rejects(
    (async () => {
      for await (const _ of stream) client.abort();
    })(),
    (error) => error.name === "AbortError",
  );
}

async function others() {
  const { models: listed } = await client.list();
  assert.ok(listed.some((one) => one.name === "gpt-4o:latest"));
  const shown = await client.show({ model: "gpt-4o" });
  assert.ok(shown.capabilities.includes("tools"));
  const { embeddings } = await client.embed({ model: "text-embedding-3-small", input: ["a", "b"] });
  assert.equal(embeddings.length, 2);
  await assert.rejects(client.pull({ model: "gpt-4o" }), /api\/tags/);
  await assert.rejects(client.chat({ model: "no-such-model" }), /does not exist/);
}

for (const model of models) {
  for (const check of [chat, chatTools]) {
    await check(model);
    console.log(`ok ${check.name} ${model}`);
  }
}
for (const check of [thinking, aborts, others]) {
  await check();
  console.log(`ok ${check.name}`);
}
