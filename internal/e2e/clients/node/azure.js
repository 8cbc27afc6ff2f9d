// Checks the gateway with the Azure client of OpenAI's SDK for Node. One line of JSON
// for each check: {"check", "ok", "detail"}. Environment: see azure_test.go.
'use strict';

const assert = require('node:assert/strict');
const OpenAI = require('openai');

const env = process.env;
const client = (apiKey) =>
  new OpenAI.AzureOpenAI({ endpoint: env.BASE_URL, apiKey, apiVersion: '2026-06-01', maxRetries: 1 });
const open = client(env.KEY);
const model = 'gpt-4o-mini'; // also the name of the deployment
const ask = (of, more) => of.chat.completions.create({ model, messages: [{ role: 'user', content: 'hi' }], ...more });

async function refused(call, kind, status, code) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof kind, String(error));
    assert.equal(error.status, status);
    assert.equal(error.code, code);
    return true;
  });
}

const checks = {
  async chat() {
    const answer = await ask(open, { max_tokens: 50 });
    assert.match(answer.choices[0].message.content, /^token /);
    assert.equal(answer.usage.completion_tokens, 20);
  },

  async stream() {
    let text = '';
    for await (const chunk of await ask(open, { stream: true })) {
      assert.equal(chunk.choices.length, 1, 'a chunk that was not asked for');
      text += chunk.choices[0].delta.content ?? '';
    }
    assert.match(text, /^token /);
  },

  async embeddings() {
    const answer = await open.embeddings.create({ model: 'text-embedding-3-small', input: 'hi', encoding_format: 'float' });
    assert.equal(answer.data.length, 1);
  },

  async 'unknown key'() {
    await refused(ask(client('unknown')), OpenAI.AuthenticationError, 401, 'invalid_api_key');
  },

  async 'model not allowed'() {
    await refused(ask(client(env.KEY_MODELS)), OpenAI.PermissionDeniedError, 403, 'model_not_allowed');
  },

  async 'rate limit'() {
    const far = client(env.KEY_FAR);
    await ask(far);
    await refused(ask(far), OpenAI.RateLimitError, 429, 'rate_limit_exceeded');
  },
};

async function main() {
  for (const [check, run] of Object.entries(checks)) {
    let detail = '';
    try {
      await run();
    } catch (error) {
      detail = String(error.stack ?? error);
      process.exitCode = 1;
    }
    console.log(JSON.stringify({ check, ok: detail === '', detail }));
  }
}

main();
