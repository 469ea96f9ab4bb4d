// OpenAI's SDK for Node against the server at argv[2]; throws an error at the first failed check.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "unused", maxRetries: 0 });
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};
const question = "Use the tool: weather in Paris and London";
const cities = [{ city: "Paris" }, { city: "London" }];
const models = ["gpt-4o", "gpt-5.5", "claude-opus-5", "gemini-2.5-pro"];

async function chat(model) {
  const asked = { model, messages: [{ role: "user", content: "Count to five" }] };
  const whole = await client.chat.completions.create(asked);
  let text = "";
  for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
    text += chunk.choices[0].delta.content ?? "";
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.match(text, /You said: Count to five/);
  assert.equal(whole.choices[0].finish_reason, "stop");
  assert.ok(whole.usage.total_tokens > 0);
}

async function chatTools(model) {
  const tools = [{ type: "function", function: { name: "get_weather", parameters } }];
  const messages = [{ role: "user", content: question }];
  const stream = client.chat.completions.stream({ model, messages, tools });
  const { message, finish_reason } = (await stream.finalChatCompletion()).choices[0];
  assert.equal(finish_reason, "tool_calls");
  const calls = message.tool_calls;
  assert.deepEqual(calls.map((call) => JSON.parse(call.function.arguments)), cities);
  messages.push(message);
  for (const call of calls) {
    messages.push({ role: "tool", tool_call_id: call.id, content: `12 degrees for ${call.id}` });
  }
  const last = await client.chat.completions.create({ model, messages, tools });
  for (const call of calls) {
    assert.ok(last.choices[0].message.content.includes(`12 degrees for ${call.id}`));
  }
}

async function responses(model) {
  const stream = client.responses.stream({ model, input: "Count to five" });
  let text = "";
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  const final = await stream.finalResponse();
  assert.equal(final.output_text, text);
  assert.match(text, /You said: Count to five/);
  assert.equal(final.status, "completed");
}

async function responsesTools(model) {
  const tools = [{ type: "function", name: "get_weather", parameters, strict: false }];
  const input = [{ role: "user", content: question }];
  const answer = await client.responses.create({ model, input, tools });
  const calls = answer.output.filter((item) => item.type === "function_call");
  assert.deepEqual(calls.map((call) => JSON.parse(call.arguments)), cities);
  input.push(...answer.output);
  for (const call of calls) {
    input.push({ type: "function_call_output", call_id: call.call_id, output: "12 degrees" });
  }
  assert.match((await client.responses.create({ model, input, tools })).output_text, /12 degrees/);
}

async function embeddings() {
  const model = "text-embedding-3-small";
  const packed = await client.embeddings.create({ model, input: ["a", "b"] });
  const plain = await client.embeddings.create({ model, input: ["a", "b"], encoding_format: "float" });
  assert.deepEqual(packed.data.map((one) => one.embedding.length), [1536, 1536]);
  packed.data.forEach((one, index) =>
    one.embedding.forEach((number, place) =>
      assert.ok(Math.abs(number - plain.data[index].embedding[place]) < 1e-6),
    ),
  );
}

async function errors() {
  await assert.rejects(
    client.responses.create({ model: "no-such-model", input: "Hi" }),
    (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
  );
}

for (const model of models) {
  for (const check of [chat, chatTools, responses, responsesTools]) {
    await check(model);
    console.log(`ok ${check.name} ${model}`);
  }
}
for (const check of [embeddings, errors]) {
  await check();
  console.log(`ok ${check.name}`);
}
