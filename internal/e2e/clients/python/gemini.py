"""Checks the gateway with Google's official SDK for Python.

One line of JSON for each check: {"check", "ok", "detail"}. Environment: see
gemini_test.go.
"""

import json
import os
import sys
import traceback

from google import genai
from google.genai import errors, types

GREETING = "Hello from upstream."
MODEL = "gemini-2.5-flash"


def client(key):
    return genai.Client(api_key=key, vertexai=False, http_options=types.HttpOptions(base_url=os.environ["BASE_URL"]))


open_client = client(os.environ["KEY"])
CHECKS = {}


def check(name):
    def add(run):
        CHECKS[name] = run
        return run

    return add


def equal(got, want):
    if got != want:
        raise AssertionError(f"{got!r}, want {want!r}")


def generate(key_client, text="hi"):
    config = types.GenerateContentConfig(max_output_tokens=50, system_instruction="Be brief.")
    return key_client.models.generate_content(model=MODEL, contents=text, config=config)


def counted(answer):
    usage = answer.usage_metadata
    equal((usage.prompt_token_count, usage.cached_content_token_count, usage.thoughts_token_count, usage.candidates_token_count), (12, 4, 3, 5))


def refused(run, code, status, reason):
    """Expects the SDK's typed error."""
    try:
        run()
    except errors.ClientError as error:
        equal((error.code, error.status), (code, status))
        equal(error.details["error"]["details"][0]["reason"], reason)
        return
    raise AssertionError("the call was not refused")


@check("generate")
def _():
    answer = generate(open_client)
    equal(answer.text, GREETING)
    counted(answer)


@check("stream")
def _():
    text, last = "", None
    for last in open_client.models.generate_content_stream(model=MODEL, contents="hi"):
        text += last.text or ""
    equal(text, GREETING)
    counted(last)


@check("function")
def _():
    declared = types.Tool(function_declarations=[types.FunctionDeclaration(name="weather")])
    config = types.GenerateContentConfig(tools=[declared])
    answer = open_client.models.generate_content(model=MODEL, contents="call", config=config)
    call = answer.function_calls[0]
    equal((call.name, call.args), ("weather", {"city": "Paris"}))


@check("embed")
def _():
    answer = open_client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])
    equal([e.values for e in answer.embeddings], [[0.5], [0.5]])


@check("count tokens")
def _():
    equal(open_client.models.count_tokens(model=MODEL, contents="hi").total_tokens, 17)


@check("models")
def _():
    equal([m.name for m in open_client.models.list()], ["models/" + MODEL])
    equal(open_client.models.get(model=MODEL).name, "models/" + MODEL)


@check("unknown key")
def _():
    refused(lambda: generate(client("nobody-knows-this-key")), 401, "UNAUTHENTICATED", "invalid_api_key")


@check("model not allowed")
def _():
    refused(lambda: generate(client(os.environ["KEY_MODELS"])), 403, "PERMISSION_DENIED", "model_not_allowed")


@check("rate limit")
def _():
    far = client(os.environ["KEY_FAR"])
    generate(far)
    refused(lambda: generate(far), 429, "RESOURCE_EXHAUSTED", "rate_limit_exceeded")


@check("cost limit")
def _():
    refused(lambda: generate(client(os.environ["KEY_QUOTA"])), 429, "RESOURCE_EXHAUSTED", "insufficient_quota")


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
