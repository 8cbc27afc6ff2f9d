"""Checks the gateway with the official Anthropic SDK for Python.

One line of JSON for each check: {"check", "ok", "detail"}. Environment: see
anthropic_test.go.
"""

import json
import os
import sys
import traceback

import anthropic

GREETING = "Hello from upstream."


def client(key):
    return anthropic.Anthropic(api_key=key, base_url=os.environ["BASE_URL"], max_retries=1)


def say(text):
    return {
        "model": "claude-haiku-5-5",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}],
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
    }


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


def first_block(message, stop):
    equal(message.stop_reason, stop)
    usage = message.usage
    equal((usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens), (12, 4, 5))
    return message.content[0]


def streamed(text):
    with open_client.messages.stream(**say(text)) as stream:
        return stream.get_final_message()


def check_tool(block):
    equal((block.name, block.input), ("weather", {"city": "Paris"}))


def refused(key_client, text, kind, status, error_type):
    """Expects the SDK's typed error."""
    try:
        key_client.messages.create(**say(text))
    except kind as error:
        equal(error.status_code, status)
        equal(error.body["error"]["type"], error_type)
        equal(len(error.response.headers["request-id"]), 36)
        return
    raise AssertionError("the call was not refused")


@check("message")
def _():
    equal(first_block(open_client.messages.create(**say("hi")), "end_turn").text, GREETING)


@check("stream")
def _():
    equal(first_block(streamed("hi"), "end_turn").text, GREETING)


@check("tool")
def _():
    check_tool(first_block(open_client.messages.create(**say("tool")), "tool_use"))


@check("tool stream")
def _():
    check_tool(first_block(streamed("tool"), "tool_use"))


@check("count tokens")
def _():
    asked = say("hi")
    count = open_client.messages.count_tokens(model=asked["model"], messages=asked["messages"])
    equal(count.input_tokens, 17)


@check("stream cut")
def _():
    text = ""
    try:
        for event in open_client.messages.create(**say("cut"), stream=True):
            if event.type == "content_block_delta":
                text += event.delta.text
    except anthropic.APIError as error:
        equal(error.body["error"]["type"], "api_error")
        equal(text, "Hello ")
        return
    raise AssertionError("the stream did not break")


@check("not found")
def _():
    refused(open_client, "fail 404", anthropic.NotFoundError, 404, "not_found_error")


@check("overloaded")
def _():
    once = open_client.with_options(max_retries=0)
    refused(once, "fail 529", anthropic.APIStatusError, 529, "overloaded_error")


@check("unknown key")
def _():
    unknown = client("nobody-knows-this-key")
    refused(unknown, "hi", anthropic.AuthenticationError, 401, "authentication_error")


@check("model not allowed")
def _():
    refused(client(os.environ["KEY_MODELS"]), "hi", anthropic.PermissionDeniedError, 403, "permission_error")


@check("rate limit")
def _():
    far = client(os.environ["KEY_FAR"])
    far.messages.create(**say("hi"))
    refused(far, "hi", anthropic.RateLimitError, 429, "rate_limit_error")


@check("cost limit")
def _():
    refused(client(os.environ["KEY_QUOTA"]), "hi", anthropic.APIStatusError, 402, "billing_error")


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
