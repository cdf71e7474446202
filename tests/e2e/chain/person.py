"""A person's client: the MCP SDK's own. Arguments: the server's URL, a tool, its arguments as JSON. The token is on standard input."""

import asyncio
import json
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


async def use(url, tool, arguments):
    headers = {"authorization": f"Bearer {sys.stdin.read().strip()}"}
    async with httpx2.AsyncClient(timeout=60, headers=headers) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            result = await client.call_tool(tool, json.loads(arguments))
            return [content.text for content in result.content]


try:
    said = asyncio.run(use(*sys.argv[1:]))
except Exception as error:
    said = told(error)
print(json.dumps(said))
