// Checks the gateway with the official Anthropic SDK for Node. One line of JSON for
// each check: {"check", "ok", "detail"}. Environment: see anthropic_test.go.
'use strict';

const assert = require('node:assert/strict');
const Anthropic = require('@anthropic-ai/sdk');

const env = process.env;
const client = (apiKey) => new Anthropic({ apiKey, baseURL: env.BASE_URL, maxRetries: 1 });
const open = client(env.KEY);

const greeting = 'Hello from upstream.';
const say = (text) => ({
  model: 'claude-haiku-5-5',
  max_tokens: 50,
  messages: [{ role: 'user', content: [{ type: 'text', text }] }],
  tools: [{ name: 'weather', input_schema: { type: 'object' } }],
});

function checkMessage(message, stop) {
  assert.equal(message.stop_reason, stop);
  assert.equal(message.usage.input_tokens, 12);
  assert.equal(message.usage.cache_read_input_tokens, 4);
  assert.equal(message.usage.output_tokens, 5);
  return message.content[0];
}

function checkTool(block) {
  assert.equal(block.name, 'weather');
  assert.deepEqual(block.input, { city: 'Paris' });
}

// refused expects the SDK's typed error.
async function refused(promise, kind, status, type) {
  const error = await promise.then(
    () => assert.fail('the call was not refused'),
    (e) => e,
  );
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}, want ${kind.name}`);
  assert.equal(error.status, status);
  assert.equal(error.error.error.type, type);
  assert.equal(error.requestID.length, 36);
}

const checks = {
  async message() {
    assert.equal(checkMessage(await open.messages.create(say('hi')), 'end_turn').text, greeting);
  },

  async stream() {
    assert.equal(checkMessage(await open.messages.stream(say('hi')).finalMessage(), 'end_turn').text, greeting);
  },

  async tool() {
    checkTool(checkMessage(await open.messages.create(say('tool')), 'tool_use'));
  },

  async 'tool stream'() {
    checkTool(checkMessage(await open.messages.stream(say('tool')).finalMessage(), 'tool_use'));
  },

  async 'count tokens'() {
    const { model, messages } = say('hi');
    assert.equal((await open.messages.countTokens({ model, messages })).input_tokens, 17);
  },

  async 'stream cut'() {
    let text = '';
    const read = async () => {
      for await (const event of await open.messages.create({ ...say('cut'), stream: true })) text += event.delta?.text ?? '';
    };
    const error = await read().then(
      () => assert.fail('the stream did not break'),
      (e) => e,
    );
    assert.ok(error instanceof Anthropic.APIError, `${error.constructor.name}: ${error.message}`);
    assert.equal(error.error.error.type, 'api_error');
    assert.equal(text, 'Hello ');
  },

  async 'not found'() {
    await refused(open.messages.create(say('fail 404')), Anthropic.NotFoundError, 404, 'not_found_error');
  },

  async overloaded() {
    await refused(open.messages.create(say('fail 529'), { maxRetries: 0 }), Anthropic.InternalServerError, 529, 'overloaded_error');
  },

  async 'unknown key'() {
    const unknown = client('nobody-knows-this-key');
    await refused(unknown.messages.create(say('hi')), Anthropic.AuthenticationError, 401, 'authentication_error');
  },

  async 'model not allowed'() {
    await refused(client(env.KEY_MODELS).messages.create(say('hi')), Anthropic.PermissionDeniedError, 403, 'permission_error');
  },

  async 'rate limit'() {
    const far = client(env.KEY_FAR);
    await far.messages.create(say('hi'));
    await refused(far.messages.create(say('hi')), Anthropic.RateLimitError, 429, 'rate_limit_error');
  },

  async 'cost limit'() {
    await refused(client(env.KEY_QUOTA).messages.create(say('hi')), Anthropic.PaymentRequiredError, 402, 'billing_error');
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
