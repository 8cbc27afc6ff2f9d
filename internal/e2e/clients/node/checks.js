// Checks the gateway with the official OpenAI SDK for Node. One line of JSON for
// each check: {"check", "ok", "detail"}. Environment: see scripts_test.go.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const OpenAI = require('openai');

const env = process.env;
const client = (apiKey, more) => new OpenAI({ apiKey, baseURL: env.BASE_URL, ...more });
const open = client(env.KEY);

const cheap = 'gpt-6-luna';
const dear = 'gpt-6-sol';
const greeting = 'Hello from upstream.';
const say = (content, more) => ({ model: cheap, messages: [{ role: 'user', content }], ...more });

const weather = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
};
const report = {
  type: 'json_schema',
  json_schema: {
    name: 'report',
    strict: true,
    schema: {
      type: 'object',
      required: ['city', 'celsius'],
      additionalProperties: false,
      properties: { city: { type: 'string' }, celsius: { type: 'integer' } },
    },
  },
};

// collect reads a stream to its end.
async function collect(stream) {
  let text = '';
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? '';
    if (chunk.usage) usage = chunk.usage;
  }
  return { text, usage };
}

// refused expects the SDK's typed error.
async function refused(promise, kind, status, code) {
  const error = await promise.then(
    () => assert.fail('the call was not refused'),
    (e) => e,
  );
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}, want ${kind.name}`);
  assert.equal(error.status, status);
  assert.equal(error.code, code);
  assert.equal(error.requestID.length, 36);
  assert.equal(error.requestID, error.headers.get('x-request-id'));
  return error;
}

// broken expects a stream to raise after its first piece.
async function broken(params, code) {
  let text = '';
  const reading = (async () => {
    for await (const chunk of await open.chat.completions.create({ ...params, stream: true })) {
      text += chunk.choices[0]?.delta?.content ?? '';
    }
  })();
  const error = await reading.then(
    () => assert.fail('the stream ended well'),
    (e) => e,
  );
  assert.ok(error instanceof OpenAI.APIError, `${error.constructor.name}: ${error.message}`);
  assert.equal(error.code, code);
  assert.equal(text, 'Hel');
}

const checks = {
  async chat() {
    const c = await open.chat.completions.create(say('hi'));
    assert.equal(c.choices[0].message.content, greeting);
    assert.equal(c.usage.total_tokens, 17);
    assert.equal(c.usage.prompt_tokens_details.cached_tokens, 4);
  },

  async 'chat stream'() {
    const { text, usage } = await collect(await open.chat.completions.create(say('hi', { stream: true })));
    assert.equal(text, greeting);
    assert.equal(usage, null);
  },

  async 'chat stream with usage'() {
    const { text, usage } = await collect(
      await open.chat.completions.create(say('hi', { stream: true, stream_options: { include_usage: true } })),
    );
    assert.equal(text, greeting);
    assert.equal(usage.total_tokens, 17);
  },

  async 'request id'() {
    const { data, response, request_id } = await open.chat.completions.create(say('hi')).withResponse();
    assert.equal(request_id.length, 36);
    assert.equal(data._request_id, request_id);
    assert.equal(response.headers.get('x-request-id'), request_id);
    assert.equal(response.headers.get('x-upstream-request-id'), 'req_upstream');
  },

  async tools() {
    const first = await open.chat.completions.create(say('tool', { tools: [weather] }));
    const call = first.choices[0].message.tool_calls[0];
    assert.equal(call.function.name, 'weather');
    assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Paris' });
    const after = await open.chat.completions.create({
      model: cheap,
      tools: [weather],
      messages: [
        { role: 'user', content: 'tool' },
        first.choices[0].message,
        { role: 'tool', tool_call_id: call.id, content: 'sunny' },
      ],
    });
    assert.equal(after.choices[0].message.content, 'The tool says: sunny');
  },

  async 'tools stream'() {
    const message = await open.chat.completions.stream(say('tool', { tools: [weather] })).finalMessage();
    assert.equal(message.tool_calls[0].function.name, 'weather');
    assert.equal(message.tool_calls[0].function.arguments, '{"city":"Paris"}');
  },

  async 'structured output'() {
    const c = await open.chat.completions.parse(say('structured', { response_format: report }));
    assert.deepEqual(c.choices[0].message.parsed, { city: 'Paris', celsius: 21 });
  },

  async embeddings() {
    const e = await open.embeddings.create({ model: 'text-embedding-3-small', input: ['a', 'b'] });
    assert.equal(e.data.length, 2);
    assert.deepEqual([...e.data[1].embedding], [0.25, -0.5, 1]);
    assert.equal(e.usage.prompt_tokens, 12);
  },

  async responses() {
    const r = await open.responses.create({ model: cheap, input: 'hi' });
    assert.equal(r.output_text, greeting);
    assert.equal(r.usage.total_tokens, 17);
  },

  async 'responses stream'() {
    const stream = open.responses.stream({ model: cheap, input: 'hi' });
    let text = '';
    stream.on('response.output_text.delta', (event) => (text += event.delta));
    const r = await stream.finalResponse();
    assert.equal(text, greeting);
    assert.equal(r.output_text, greeting);
    assert.equal(r.usage.total_tokens, 17);
  },

  async files() {
    const content = Buffer.concat([Buffer.from('file of the Node SDK'), fs.readFileSync(env.PICTURE)]);
    const name = 'näme.bin';
    const f = await open.files.create({ file: await OpenAI.toFile(content, name), purpose: 'user_data' });
    const known = await open.files.retrieve(f.id);
    assert.equal(known.filename, name);
    assert.equal(known.bytes, content.length);
    const listed = [];
    for await (const other of open.files.list({ purpose: 'user_data' })) listed.push(other.id);
    assert.ok(listed.includes(f.id));
    const back = await open.files.content(f.id);
    assert.ok(content.equals(Buffer.from(await back.arrayBuffer())), 'the content has changed');
    assert.equal((await open.files.delete(f.id)).deleted, true);
  },

  async speech() {
    const response = await open.audio.speech.create({ model: 'tts-1', voice: 'alloy', input: 'Hello.' });
    assert.equal(response.headers.get('content-type'), 'audio/mpeg');
    assert.ok(fs.readFileSync(env.VOICE).equals(Buffer.from(await response.arrayBuffer())), 'the audio has changed');
  },

  async transcription() {
    const r = await open.audio.transcriptions.create({ model: 'gpt-transcribe', file: fs.createReadStream(env.VOICE) });
    assert.equal(r.text, greeting);
  },

  async images() {
    const r = await open.images.generate({ model: 'gpt-image-2', prompt: 'a toll gate' });
    assert.ok(fs.readFileSync(env.PICTURE).equals(Buffer.from(r.data[0].b64_json, 'base64')), 'the picture has changed');
  },

  async 'image edit'() {
    const image = await OpenAI.toFile(fs.createReadStream(env.PICTURE), 'gate.png', { type: 'image/png' });
    const r = await open.images.edit({ model: 'gpt-image-2', prompt: 'at night', image });
    assert.ok(fs.readFileSync(env.PICTURE).equals(Buffer.from(r.data[0].b64_json, 'base64')), 'the picture has changed');
  },

  async models() {
    const ids = [];
    for await (const model of open.models.list()) ids.push(model.id);
    assert.deepEqual(ids, [cheap, dear]);
  },

  async 'upstream errors'() {
    for (const [status, kind] of [
      [400, OpenAI.BadRequestError],
      [401, OpenAI.AuthenticationError],
      [404, OpenAI.NotFoundError],
      [429, OpenAI.RateLimitError],
      [500, OpenAI.InternalServerError],
    ]) {
      const call = client(env.KEY, { maxRetries: 0 }).chat.completions.create(say(`fail ${status}`));
      const error = await refused(call, kind, status, `upstream_${status}`);
      assert.equal(error.error.message, 'The upstream refuses this on purpose.');
      assert.equal(error.param, 'messages');
      assert.equal(error.type, 'upstream_error');
    }
  },

  async 'unknown key'() {
    const call = client('nobody-knows-this-key').chat.completions.create(say('hi'));
    await refused(call, OpenAI.AuthenticationError, 401, 'invalid_api_key');
  },

  async 'model not allowed'() {
    const call = client(env.KEY_MODELS).chat.completions.create(say('hi'));
    await refused(call, OpenAI.PermissionDeniedError, 403, 'model_not_allowed');
  },

  async 'rate limit, far reset'() {
    const far = client(env.KEY_FAR);
    await far.chat.completions.create(say('hi'));
    await refused(far.chat.completions.create(say('hi')), OpenAI.RateLimitError, 429, 'rate_limit_exceeded');
  },

  async 'rate limit, near reset'() {
    const near = client(env.KEY_NEAR);
    for (let i = 0; i < 3; i++) await near.chat.completions.create(say('hi'));
  },

  async 'cost limit'() {
    const quota = client(env.KEY_QUOTA);
    const params = say('spend', { model: dear, max_completion_tokens: 1000, service_tier: 'default' });
    const { data, response } = await quota.chat.completions.create(params).withResponse();
    assert.ok(data.usage.completion_tokens < 1000, 'the output cap was not lowered');
    assert.equal(response.headers.get('x-tollgate-max-output-tokens'), String(data.usage.completion_tokens));
    await refused(quota.chat.completions.create(params), OpenAI.RateLimitError, 429, 'insufficient_quota');
  },

  async 'stream cut'() {
    await broken(say('cut'), 'upstream_interrupted');
  },

  async 'stream error'() {
    await broken(say('error'), 'upstream_500');
  },

  async 'responses stream error'() {
    let last;
    try {
      for await (const event of await open.responses.create({ model: cheap, input: 'error', stream: true })) last = event;
    } catch (error) {
      assert.ok(error instanceof OpenAI.APIError, `${error.constructor.name}: ${error.message}`);
      assert.equal(error.code, 'upstream_500');
      return;
    }
    assert.equal(last.type, 'error');
    assert.equal(last.code, 'upstream_500');
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
