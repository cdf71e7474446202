"""OpenAI's own client. Argument: the model. Prints its status, the answer, the streamed answer, and the models."""

import json
import os
import sys

import openai

messages = [{"role": "user", "content": "hello"}]
token = os.environ["TOKEN"]


def without_key(request):
    """The client cannot be used without a key: take it off again."""
    if not token:
        del request.headers["Authorization"]


client = openai.OpenAI(
    base_url=os.environ["BASE_URL"] + "/v1",
    api_key=token or "none",
    max_retries=0,
    timeout=60,
    http_client=openai.DefaultHttpxClient(event_hooks={"request": [without_key]}),
)


def outcome(ask):
    try:
        return ask()
    except openai.APIStatusError as error:
        return {"status": error.status_code, "code": error.code}


def answer():
    return client.chat.completions.create(model=sys.argv[1], messages=messages).choices[0].message.content


def streamed():
    with client.chat.completions.create(model=sys.argv[1], messages=messages, stream=True) as stream:
        return "".join(event.choices[0].delta.content or "" for event in stream if event.choices)


def models():
    return sorted(model.id for model in client.models.list())


print(json.dumps({"answer": outcome(answer), "streamed": outcome(streamed), "models": outcome(models)}))
