"""KServe's own client over gRPC. The server is at BASE_URL, the token in TOKEN. Argument: the model.

Prints the codes of what it was told, and the answer."""

import asyncio
import json
import os
import sys
from urllib.parse import urlsplit

import grpc
from kserve import InferenceGRPCClient, InferInput, InferRequest

FLOWER = [5.1, 3.5, 1.4, 0.2]


async def outcome(work):
    try:
        return await work
    except grpc.aio.AioRpcError as error:
        return error.code().name


async def predict(client, model, headers):
    values = InferInput(name="flower", shape=[1, 4], datatype="FP32", data=FLOWER)
    answered = await client.infer(InferRequest(model_name=model, infer_inputs=[values]), headers=headers)
    return answered.outputs[0].data


async def main(model):
    headers = (("authorization", f"Bearer {token}"),) if (token := os.environ["TOKEN"]) else ()
    async with InferenceGRPCClient(urlsplit(os.environ["BASE_URL"]).netloc, timeout=60) as client:
        told = {
            "live": await outcome(client.is_server_live(headers=headers)),
            "ready": await outcome(client.is_model_ready(model, headers=headers)),
            "answer": await outcome(predict(client, model, headers)),
        }
    print(json.dumps(told))


asyncio.run(main(*sys.argv[1:]))
