"""An MCP server with two tools, two resources and two prompts.

Arguments: the port, and how it answers in a session, sse or json."""

import sys

from mcp.server import MCPServer
from starlette.requests import Request
from starlette.responses import Response

server = MCPServer("calculator")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@server.tool()
def erase(what: str) -> str:
    """Erases."""
    return f"erased {what}"


@server.resource("notes://public")
def public_notes() -> str:
    return "everybody may read this"


@server.resource("notes://secret")
def secret_notes() -> str:
    return "not everybody may read this"


@server.prompt()
def greet(name: str) -> str:
    return f"Greet {name}."


@server.prompt()
def insult(name: str) -> str:
    return f"Insult {name}."


@server.custom_route("/health", methods=["GET"])
async def health(request: Request) -> Response:
    return Response("well")


server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]), json_response=sys.argv[2] == "json")
