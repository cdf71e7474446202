"""KServe's own client over REST: readiness and a prediction. Arguments: protocol (v1 or v2), model."""

import asyncio
import json
import os
import sys

import httpx
from kserve import InferInput, InferRequest, InferenceRESTClient, RESTConfig

FLOWER = [5.1, 3.5, 1.4, 0.2]


def question(protocol, model):
    if protocol == "v1":
        return {"instances": [FLOWER]}
    values = InferInput(name="flower", shape=[1, 4], datatype="FP32", data=FLOWER)
    return InferRequest(model_name=model, infer_inputs=[values])


def answer(protocol, answered):
    return answered["predictions"] if protocol == "v1" else answered.outputs[0].data


async def main(protocol, model):
    token = os.environ["TOKEN"]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    base, told = os.environ["BASE_URL"], {"status": 200}
    async with InferenceRESTClient(RESTConfig(protocol=protocol, timeout=60)) as client:
        try:
            told["ready"] = await client.is_model_ready(base, model, headers=headers)
            answered = await client.infer(base, question(protocol, model), model_name=model, headers=headers)
            told["answer"] = answer(protocol, answered)
        except httpx.HTTPStatusError as error:
            told["status"] = error.response.status_code
    print(json.dumps(told))


asyncio.run(main(*sys.argv[1:]))
