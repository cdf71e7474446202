"""What an application does with a language model: OpenAI's own client, which reads OPENAI_BASE_URL and OPENAI_API_KEY.

Arguments: models; or chat and a model; or tune and a model. Prints the answer, or status and code of the error, as JSON."""

import json
import sys

import openai

client = openai.OpenAI(max_retries=0, timeout=60)


def models():
    return sorted(model.id for model in client.models.list())


def chat(model):
    messages = [{"role": "user", "content": "hello"}]
    return client.chat.completions.create(model=model, messages=messages).choices[0].message.content


def tune(model):
    return client.fine_tuning.jobs.create(model=model, training_file="file-1").id


try:
    said = {"models": models, "chat": chat, "tune": tune}[sys.argv[1]](*sys.argv[2:])
except openai.APIStatusError as error:
    said = {"status": error.status_code, "code": error.code}
print(json.dumps(said))
