"""Checks the gateway with the official OpenAI SDK for Python.

One line of JSON for each check: {"check", "ok", "detail"}. Environment: see
scripts_test.go.
"""

import base64
import json
import os
import sys
import traceback
from pathlib import Path

import openai
from pydantic import BaseModel

CHEAP = "gpt-6-luna"
DEAR = "gpt-6-sol"
GREETING = "Hello from upstream."

VOICE = Path(os.environ["VOICE"])
PICTURE = Path(os.environ["PICTURE"])


def client(key, **more):
    return openai.OpenAI(api_key=key, base_url=os.environ["BASE_URL"], **more)


def say(content, **more):
    return {"model": CHEAP, "messages": [{"role": "user", "content": content}], **more}


client_open = client(os.environ["KEY"])
chat = client_open.chat.completions

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}

CHECKS = {}


def check(name):
    def add(run):
        CHECKS[name] = run
        return run

    return add


def equal(got, want):
    assert got == want, f"{got!r}, want {want!r}"


def refused(kind, status, code, call):
    """Expects the SDK's typed error of a call."""
    try:
        call()
    except openai.APIStatusError as error:
        assert type(error) is kind, f"{error!r}, want {kind.__name__}"
        equal(error.status_code, status)
        equal(error.code, code)
        equal(len(error.request_id), 36)
        return error
    raise AssertionError("the call was not refused")


def broken(content, code):
    """Expects a stream to raise after its first piece."""
    text = ""
    try:
        for chunk in chat.create(**say(content), stream=True):
            text += chunk.choices[0].delta.content or ""
    except openai.APIError as error:
        equal(error.code, code)
        equal(text, "Hel")
        return
    raise AssertionError("the stream ended well")


def read(stream):
    text, usage = "", None
    for chunk in stream:
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
        usage = chunk.usage or usage
    return text, usage


@check("chat")
def _():
    c = chat.create(**say("hi"))
    equal(c.choices[0].message.content, GREETING)
    equal(c.usage.total_tokens, 17)
    equal(c.usage.prompt_tokens_details.cached_tokens, 4)


@check("chat stream")
def _():
    equal(read(chat.create(**say("hi"), stream=True)), (GREETING, None))


@check("chat stream with usage")
def _():
    text, usage = read(chat.create(**say("hi"), stream=True, stream_options={"include_usage": True}))
    equal(text, GREETING)
    equal(usage.total_tokens, 17)


@check("request id")
def _():
    raw = chat.with_raw_response.create(**say("hi"))
    equal(len(raw.request_id), 36)
    equal(raw.parse()._request_id, raw.request_id)
    equal(raw.headers["x-request-id"], raw.request_id)
    equal(raw.headers["x-upstream-request-id"], "req_upstream")


@check("tools")
def _():
    first = chat.create(**say("tool", tools=[WEATHER])).choices[0].message
    call = first.tool_calls[0]
    equal(call.function.name, "weather")
    equal(json.loads(call.function.arguments), {"city": "Paris"})
    answer = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    messages = [{"role": "user", "content": "tool"}, first, answer]
    after = chat.create(model=CHEAP, messages=messages, tools=[WEATHER])
    equal(after.choices[0].message.content, "The tool says: sunny")


@check("tools stream")
def _():
    with chat.stream(**say("tool", tools=[WEATHER])) as stream:
        call = stream.get_final_completion().choices[0].message.tool_calls[0]
    equal(call.function.name, "weather")
    equal(call.function.arguments, '{"city":"Paris"}')


class Report(BaseModel):
    city: str
    celsius: int


@check("structured output")
def _():
    c = chat.parse(**say("structured"), response_format=Report)
    equal(c.choices[0].message.parsed, Report(city="Paris", celsius=21))


@check("embeddings")
def _():
    e = client_open.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    equal(len(e.data), 2)
    equal(e.data[1].embedding, [0.25, -0.5, 1])
    equal(e.usage.prompt_tokens, 12)


@check("responses")
def _():
    r = client_open.responses.create(model=CHEAP, input="hi")
    equal(r.output_text, GREETING)
    equal(r.usage.total_tokens, 17)


@check("responses stream")
def _():
    text = ""
    with client_open.responses.stream(model=CHEAP, input="hi") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                text += event.delta
        r = stream.get_final_response()
    equal(text, GREETING)
    equal(r.output_text, GREETING)
    equal(r.usage.total_tokens, 17)


@check("files")
def _():
    files = client_open.files
    content = b"file of the Python SDK" + PICTURE.read_bytes()
    f = files.create(file=("näme.bin", content), purpose="user_data")
    known = files.retrieve(f.id)
    equal(known.filename, "näme.bin")
    equal(known.bytes, len(content))
    assert f.id in [other.id for other in files.list(purpose="user_data")]
    assert files.content(f.id).read() == content, "the content has changed"
    equal(files.delete(f.id).deleted, True)


@check("speech")
def _():
    speech = client_open.audio.speech
    with speech.with_streaming_response.create(model="tts-1", voice="alloy", input="Hello.") as response:
        equal(response.headers["content-type"], "audio/mpeg")
        assert response.read() == VOICE.read_bytes(), "the audio has changed"


@check("transcription")
def _():
    with VOICE.open("rb") as audio:
        r = client_open.audio.transcriptions.create(model="gpt-transcribe", file=audio)
    equal(r.text, GREETING)


@check("images")
def _():
    r = client_open.images.generate(model="gpt-image-2", prompt="a toll gate")
    assert base64.b64decode(r.data[0].b64_json) == PICTURE.read_bytes(), "the picture has changed"


@check("image edit")
def _():
    with PICTURE.open("rb") as image:
        r = client_open.images.edit(model="gpt-image-2", prompt="at night", image=image)
    assert base64.b64decode(r.data[0].b64_json) == PICTURE.read_bytes(), "the picture has changed"


@check("models")
def _():
    equal([model.id for model in client_open.models.list()], [CHEAP, DEAR])


@check("upstream errors")
def _():
    once = client(os.environ["KEY"], max_retries=0).chat.completions
    for status, kind in (
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ):
        error = refused(kind, status, f"upstream_{status}", lambda: once.create(**say(f"fail {status}")))
        equal(error.body["message"], "The upstream refuses this on purpose.")
        equal(error.param, "messages")
        equal(error.type, "upstream_error")


@check("unknown key")
def _():
    unknown = client("nobody-knows-this-key").chat.completions
    refused(openai.AuthenticationError, 401, "invalid_api_key", lambda: unknown.create(**say("hi")))


@check("model not allowed")
def _():
    models = client(os.environ["KEY_MODELS"]).chat.completions
    refused(openai.PermissionDeniedError, 403, "model_not_allowed", lambda: models.create(**say("hi")))


@check("rate limit, far reset")
def _():
    far = client(os.environ["KEY_FAR"]).chat.completions
    far.create(**say("hi"))
    refused(openai.RateLimitError, 429, "rate_limit_exceeded", lambda: far.create(**say("hi")))


@check("rate limit, near reset")
def _():
    near = client(os.environ["KEY_NEAR"]).chat.completions
    for _ in range(3):
        near.create(**say("hi"))


@check("cost limit")
def _():
    quota = client(os.environ["KEY_QUOTA"]).chat.completions
    params = say("spend", max_completion_tokens=1000, service_tier="default") | {"model": DEAR}
    raw = quota.with_raw_response.create(**params)
    tokens = raw.parse().usage.completion_tokens
    assert tokens < 1000, "the output cap was not lowered"
    equal(raw.headers["x-tollgate-max-output-tokens"], str(tokens))
    refused(openai.RateLimitError, 429, "insufficient_quota", lambda: quota.create(**params))


@check("stream cut")
def _():
    broken("cut", "upstream_interrupted")


@check("stream error")
def _():
    broken("error", "upstream_500")


@check("responses stream error")
def _():
    last = None
    try:
        for last in client_open.responses.create(model=CHEAP, input="error", stream=True):
            pass
    except openai.APIError as error:
        equal(error.code, "upstream_500")
        return
    equal(last.type, "error")
    equal(last.code, "upstream_500")


def main():
    failed = False
    for name, run in CHECKS.items():
        detail = ""
        try:
            run()
        except Exception:
            detail, failed = traceback.format_exc(), True
        print(json.dumps({"check": name, "ok": not detail, "detail": detail}), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
