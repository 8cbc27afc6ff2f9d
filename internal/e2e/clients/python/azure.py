"""Checks the gateway with the Azure client of OpenAI's SDK for Python.

One line of JSON for each check: {"check", "ok", "detail"}. Environment: see
azure_test.go.
"""

import json
import os
import sys
import traceback

import openai

MODEL = "gpt-4o-mini"  # also the name of the deployment


def client(key):
    return openai.AzureOpenAI(azure_endpoint=os.environ["BASE_URL"], api_key=key, api_version="2026-06-01", max_retries=1)


open_client = client(os.environ["KEY"])
CHECKS = {}


def check(name):
    def add(run):
        CHECKS[name] = run
        return run

    return add


def ask(key_client, **more):
    return key_client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hi"}], **more)


def refused(run, kind, status, code):
    try:
        run()
    except kind as error:
        assert error.status_code == status and error.code == code, f"{error.status_code} {error.code}"
        return
    raise AssertionError("the call passed")


@check("chat")
def _():
    answer = ask(open_client, max_tokens=50)
    assert answer.choices[0].message.content.startswith("token "), answer
    assert answer.usage.completion_tokens == 20, answer.usage


@check("stream")
def _():
    chunks = list(ask(open_client, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks).startswith("token "), chunks
    assert all(c.choices for c in chunks), "a chunk that was not asked for"


@check("embeddings")
def _():
    answer = open_client.embeddings.create(model="text-embedding-3-small", input="hi", encoding_format="float")
    assert len(answer.data) == 1, answer


@check("unknown key")
def _():
    refused(lambda: ask(client("unknown")), openai.AuthenticationError, 401, "invalid_api_key")


@check("model not allowed")
def _():
    refused(lambda: ask(client(os.environ["KEY_MODELS"])), openai.PermissionDeniedError, 403, "model_not_allowed")


@check("rate limit")
def _():
    far = client(os.environ["KEY_FAR"])
    ask(far)
    refused(lambda: ask(far), openai.RateLimitError, 429, "rate_limit_exceeded")


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
