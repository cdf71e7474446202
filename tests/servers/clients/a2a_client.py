"""The A2A client of its makers. The agent is at BASE_URL, the token in TOKEN. Argument: JSONRPC or HTTP+JSON.

Reads the card, sends a message (streamed and at once), reads the task; prints what came of each."""

import asyncio
import json
import os
import sys

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.helpers import get_artifact_text, new_text_message
from a2a.types import AgentInterface, GetTaskRequest, ListTasksRequest, Role, SendMessageRequest
from a2a.utils.errors import A2AError

base, token, binding = os.environ["BASE_URL"], os.environ["TOKEN"], sys.argv[1]


async def outcome(work):
    try:
        return await work
    except A2AError as error:
        refused = isinstance(error.__cause__, httpx.HTTPStatusError)
        return {"status": error.__cause__.response.status_code if refused else None, "said": str(error)}


async def send(client):
    message = new_text_message("hello", role=Role.ROLE_USER)
    task, text = None, ""
    async for event in client.send_message(SendMessageRequest(message=message)):
        if event.HasField("task"):
            task = event.task.id
            text += "".join(get_artifact_text(artifact) for artifact in event.task.artifacts)
        elif event.HasField("artifact_update"):
            text += get_artifact_text(event.artifact_update.artifact)
    read = await client.get_task(GetTaskRequest(id=task))
    return {"text": text, "read": [get_artifact_text(artifact) for artifact in read.artifacts]}


async def tasks(client):
    return len((await client.list_tasks(ListTasksRequest())).tasks)


async def main():
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(headers=headers, timeout=60) as http:
        # The card is for everybody.
        async with httpx.AsyncClient(timeout=60) as anybody:
            card = await A2ACardResolver(anybody, base).get_agent_card()
        told = {"urls": [interface.url for interface in card.supported_interfaces]}
        del card.supported_interfaces[:]
        card.supported_interfaces.append(AgentInterface(url=base, protocol_binding=binding, protocol_version="1.0"))
        for name, streaming in (("streamed", True), ("at once", False)):
            config = ClientConfig(httpx_client=http, supported_protocol_bindings=[binding], streaming=streaming)
            client = ClientFactory(config).create(card)
            told[name] = await outcome(send(client))
        told["tasks"] = await outcome(tasks(client))
    print(json.dumps(told))


asyncio.run(main())
