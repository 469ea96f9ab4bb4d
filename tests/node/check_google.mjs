// Google's SDK for Node against the server at argv[2]; throws an error at the first failed check.
import assert from "node:assert/strict";
import { GoogleGenAI, Type } from "@google/genai";

const client = new GoogleGenAI({
  apiKey: "unused",
  httpOptions: { baseUrl: process.argv[2] },
});
const models = ["gpt-4o", "gpt-5.5", "claude-opus-5", "gemini-2.5-pro"];
const city = { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ["city"] };
const tools = [{ functionDeclarations: [{ name: "get_weather", parameters: city }] }];

async function text(model) {
  const whole = await client.models.generateContent({ model, contents: "Count to five" });
  let streamed = "";
  let last;
  for await (const chunk of await client.models.generateContentStream({
    model,
    contents: "Count to five",
  })) {
    streamed += chunk.text ?? "";
    last = chunk;
  }
  assert.equal(streamed, whole.text);
  assert.match(streamed, /You said: Count to five/);
  assert.equal(last.candidates[0].finishReason, "STOP");
  assert.ok(last.usageMetadata.totalTokenCount > 0);
}

async function calls(model) {
  const config = { tools, thinkingConfig: { includeThoughts: true, thinkingBudget: 4000 } };
  const chat = client.chats.create({ model, config });
  const called = [];
  for await (const chunk of await chat.sendMessageStream({
    message: "Use the tool: weather in Paris and London",
  })) {
    called.push(...(chunk.functionCalls ?? []));
  }
  assert.deepEqual(called.map((call) => call.args.city), ["Paris", "London"]);
  const message = called.map(({ id, name, args }) => ({
    functionResponse: { id, name, response: { output: `12 degrees in ${args.city}` } },
  }));
  const answer = await chat.sendMessage({ message });
  assert.match(answer.text, /12 degrees in Paris.*12 degrees in London/s);
}

async function others() {
  const embedded = await client.models.embedContent({
    model: "text-embedding-3-small",
    contents: ["one", "two"],
  });
  assert.equal(embedded.embeddings.length, 2);
  const counted = await client.models.countTokens({ model: "gpt-4o", contents: "Hello" });
  assert.ok(counted.totalTokens > 0);
  await assert.rejects(
    client.models.generateContent({ model: "nope", contents: "Hi" }),
    (error) => error.status === 404 && error.message.includes("copilot-proxy models"),
  );
}

for (const check of [text, calls]) {
  for (const model of models) {
    await check(model);
    console.log(`ok ${check.name} ${model}`);
  }
}
await others();
console.log("ok others");
