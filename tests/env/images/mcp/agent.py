"""What an agent does with its tools: the MCP SDK's own client, no token and no secret.

Arguments: the variable that holds the server's URL, then nothing (lists the tools), or a tool and its arguments as JSON.
Prints the tools, or what the tool said; where it is refused, the status or the error. With --strict before all others a refusal
is a failure, so that a Job tries again."""

import asyncio
import json
import os
import sys

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client


def told(error):
    """What is at the bottom of a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, httpx2.HTTPStatusError):
        return {"status": error.response.status_code}
    if isinstance(error, MCPError):
        return {"code": error.error.code, "said": error.error.message}
    raise error


async def use(variable, tool=None, arguments="{}"):
    async with httpx2.AsyncClient(timeout=60) as http:
        transport = streamable_http_client(os.environ[variable], http_client=http)
        async with Client(transport) as client:
            if tool is None:
                return [entry.name for entry in (await client.list_tools()).tools]
            result = await client.call_tool(tool, json.loads(arguments))
            return [content.text for content in result.content]


strict = sys.argv[1] == "--strict"
try:
    said, failed = asyncio.run(use(*sys.argv[1 + strict :])), False
except Exception as error:
    said, failed = told(error), strict
print(json.dumps(said))
sys.exit(failed)
