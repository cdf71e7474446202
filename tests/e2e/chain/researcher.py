"""An agent that is an MCP server: its tools use another server's, with the SDK's own client.

The tools differ in what they hand on of their caller."""

import json
import os

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response

HANDLE = "x-keywire-on-behalf-of"

server = MCPServer("researcher")


def told(error):
    """What is at the bottom of a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, httpx2.HTTPStatusError):
        return {"status": error.response.status_code}
    if isinstance(error, MCPError):
        return {"code": error.error.code, "said": error.error.message}
    raise error


async def ask(word, headers):
    async with httpx2.AsyncClient(timeout=60, headers=headers) as http:
        transport = streamable_http_client(os.environ["ARCHIVE_URL"], http_client=http)
        async with Client(transport) as client:
            result = await client.call_tool("search_documents", {"word": word})
            return [content.text for content in result.content]


async def outcome(word, headers):
    try:
        return json.dumps(await ask(word, headers))
    except Exception as error:
        return json.dumps(told(error))


@server.tool()
async def research(word: str, ctx: Context) -> str:
    """What the archive has on a word, asked on behalf of whoever asks."""
    return await outcome(word, {HANDLE: ctx.headers[HANDLE]})


@server.tool()
async def ponder(word: str) -> str:
    """The same, asked by the agent itself."""
    return await outcome(word, {})


@server.tool()
async def guess(word: str) -> str:
    """The same, on behalf of nobody that there is."""
    return await outcome(word, {HANDLE: "AAAAAAAAAAAAAAAAAAAAAA"})


@server.custom_route("/health", methods=["GET"])
async def health(request: Request) -> Response:
    return Response("well")


security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
server.run("streamable-http", host="127.0.0.1", port=8080, transport_security=security)
