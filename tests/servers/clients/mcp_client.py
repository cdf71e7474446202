"""The MCP SDK's own client. The server is at BASE_URL, the token in TOKEN. Argument: how to connect: legacy, auto or a version.

Lists and uses what there is; prints what came of each."""

import asyncio
import json
import os
import sys

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

token = os.environ["TOKEN"]


def told(error):
    """What is at the bottom of a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, httpx2.HTTPStatusError):
        return {"status": error.response.status_code}
    if isinstance(error, MCPError):
        return {"code": error.error.code, "said": error.error.message}
    raise error


async def outcome(work):
    try:
        return await work
    except Exception as error:
        return told(error)


async def names(listing, member, of):
    return [str(getattr(entry, of)) for entry in getattr(await listing, member)]


async def call(client, name, arguments):
    result = await client.call_tool(name, arguments)
    return [content.text for content in result.content]


async def read(client, uri):
    return [content.text for content in (await client.read_resource(uri)).contents]


async def prompt(client, name):
    return [message.content.text for message in (await client.get_prompt(name, {"name": "Ada"})).messages]


async def visit(mode):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(os.environ["BASE_URL"] + "/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:
            return {
                "version": client.protocol_version,
                "tools": await outcome(names(client.list_tools(), "tools", "name")),
                "resources": await outcome(names(client.list_resources(), "resources", "uri")),
                "prompts": await outcome(names(client.list_prompts(), "prompts", "name")),
                "add": await outcome(call(client, "add", {"a": 20, "b": 22})),
                "erase": await outcome(call(client, "erase", {"what": "it"})),
                "public": await outcome(read(client, "notes://public")),
                "secret": await outcome(read(client, "notes://secret")),
                "greet": await outcome(prompt(client, "greet")),
                "insult": await outcome(prompt(client, "insult")),
            }


print(json.dumps(asyncio.run(outcome(visit(sys.argv[1])))))
