"""Checks the gateway with boto3's client for Bedrock, and with Anthropic's.

One line of JSON for each check: {"check", "ok", "detail"}. Environment: see
bedrock_test.go. All of it only has another endpoint and the gateway's key for the
bearer token, which boto3 sends over TLS only.
"""

import json
import os
import sys
import traceback

import anthropic
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

GREETING = "Hello from Bedrock."
MODEL = "us.anthropic.claude-opus-5-5"
PROFILE = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/us.anthropic.claude-opus-5-5"
SAY = [{"role": "user", "content": [{"text": "hi"}]}]
CLAUDE = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "hi"}],
}
LIMIT = {"maxTokens": 50}


def client(key, retries=1):
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = key  # read by the line below
    return boto3.session.Session().client(
        "bedrock-runtime",
        region_name="eu-central-1",
        endpoint_url=os.environ["TLS_URL"],
        verify=os.environ["CA"],
        config=Config(retries={"max_attempts": retries, "mode": "standard"}),
    )


def claude(key):
    return anthropic.AnthropicBedrock(
        api_key=key, aws_region="eu-central-1", base_url=os.environ["BASE_URL"], max_retries=0
    )


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


def refused(key_client, code, status, **asked):
    """Expects the SDK's error with this code, and returns it."""
    try:
        key_client.converse(**{"modelId": MODEL, "messages": SAY, "inferenceConfig": LIMIT, **asked})
    except ClientError as error:
        equal(error.response["Error"]["Code"], code)
        equal(error.response["ResponseMetadata"]["HTTPStatusCode"], status)
        return error
    raise AssertionError("the call was not refused")


@check("converse")
def _():
    answer = open_client.converse(modelId=MODEL, messages=SAY, inferenceConfig=LIMIT)
    equal(answer["output"]["message"]["content"], [{"text": GREETING}])
    usage = answer["usage"]
    equal((usage["inputTokens"], usage["outputTokens"], usage["cacheReadInputTokens"]), (10, 20, 4))


@check("converse stream")
def _():
    answer = open_client.converse_stream(modelId=MODEL, messages=SAY, inferenceConfig=LIMIT)
    events = list(answer["stream"])
    text = "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e)
    equal(text, GREETING)
    equal(events[-1]["metadata"]["usage"]["outputTokens"], 20)


@check("invoke")
def _():
    answer = open_client.invoke_model(modelId=MODEL, body=json.dumps(CLAUDE), contentType="application/json")
    equal(json.load(answer["body"])["content"][0]["text"], GREETING)


@check("invoke stream")
def _():
    answer = open_client.invoke_model_with_response_stream(modelId=MODEL, body=json.dumps(CLAUDE))
    events = [json.loads(e["chunk"]["bytes"]) for e in answer["body"]]
    equal("".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta"), GREETING)
    equal(events[-1]["amazon-bedrock-invocationMetrics"]["inputTokenCount"], 10)


@check("inference profile")
def _():
    answer = open_client.converse(modelId=PROFILE, messages=SAY, inferenceConfig=LIMIT)
    equal(answer["stopReason"], "end_turn")


@check("count tokens")
def _():
    answer = open_client.count_tokens(modelId=MODEL, input={"converse": {"messages": SAY}})
    equal(answer["inputTokens"], 10)


@check("stream cut")
def _():
    answer = open_client.converse_stream(modelId="cut", messages=SAY, inferenceConfig=LIMIT)
    text = ""
    try:
        for event in answer["stream"]:
            if "contentBlockDelta" in event:
                text += event["contentBlockDelta"]["delta"]["text"]
    except EventStreamError as error:
        equal(error.response["Error"]["Code"], "modelStreamErrorException")
        equal(error.response["Error"]["Message"].startswith("[Tollgate] "), True)
        equal(text, "Hello ")
        return
    raise AssertionError("the stream did not break")


@check("throttled upstream")
def _():
    error = refused(client(os.environ["KEY"], retries=0), "ThrottlingException", 429, modelId="throttled")
    equal(error.response["Error"]["Message"], "Too many tokens, please wait before trying again.")


@check("unknown key")
def _():
    refused(client("nobody-knows-this-key"), "AccessDeniedException", 401)


@check("signed by the caller")
def _():
    token = os.environ.pop("AWS_BEARER_TOKEN_BEDROCK")
    signed = boto3.session.Session(aws_access_key_id="AKIACALLER", aws_secret_access_key="x").client(
        "bedrock-runtime", region_name="eu-central-1", endpoint_url=os.environ["BASE_URL"]
    )
    error = refused(signed, "AccessDeniedException", 401)
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = token
    equal("AWS_BEARER_TOKEN_BEDROCK" in error.response["Error"]["Message"], True)


@check("model not allowed")
def _():
    refused(client(os.environ["KEY_MODELS"]), "AccessDeniedException", 403)


@check("rate limit")
def _():
    far = client(os.environ["KEY_FAR"], retries=0)
    far.converse(modelId=MODEL, messages=SAY, inferenceConfig=LIMIT)
    refused(far, "ThrottlingException", 429)


@check("cost limit")
def _():
    refused(client(os.environ["KEY_QUOTA"]), "ServiceQuotaExceededException", 400)


@check("claude")
def _():
    message = claude(os.environ["KEY"]).messages.create(
        model=MODEL, max_tokens=50, messages=[{"role": "user", "content": "hi"}]
    )
    equal(message.content[0].text, GREETING)
    equal(message.usage.output_tokens, 20)


@check("claude stream")
def _():
    with claude(os.environ["KEY"]).messages.stream(
        model=MODEL, max_tokens=50, messages=[{"role": "user", "content": "hi"}]
    ) as stream:
        equal(stream.get_final_message().content[0].text, GREETING)


@check("claude, the peer's path")
def _():
    old = anthropic.Anthropic(
        api_key=os.environ["KEY"], base_url=os.environ["BASE_URL"] + "/anthropic", max_retries=0
    )
    asked = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    equal(old.messages.create(**asked).content[0].text, GREETING)
    with old.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    equal((final.content[0].text, final.usage.output_tokens, final.usage.cache_read_input_tokens), (GREETING, 20, 4))
    try:
        old.messages.create(**{**asked, "model": "throttled"})
    except anthropic.RateLimitError as error:
        equal(error.body["error"]["type"], "rate_limit_error")
        return
    raise AssertionError("the call was not refused")


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
