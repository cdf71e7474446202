"""Two small MCP servers in one program. Argument: which of them, search or files.

Listens on loopback alone: what is in front of it decides who may call."""

import json
import sys

from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response

DOCUMENTS = {"handbook": "Agents get the least that they need.", "menu": "Soup, bread, and soup again."}


def search(server):
    @server.tool()
    def search_documents(word: str) -> str:
        """The names of the documents that have this word."""
        return json.dumps([name for name, text in DOCUMENTS.items() if word.lower() in text.lower()])

    @server.tool()
    def read_document(name: str) -> str:
        """A document's text."""
        return DOCUMENTS[name]


def files(server):
    held = {}

    @server.tool()
    def write_file(name: str, text: str) -> str:
        """Writes a file, over what it was before."""
        held[name] = text
        return f"wrote {name}"

    @server.tool()
    def list_files() -> str:
        """The files that there are."""
        return json.dumps(sorted(held))

    @server.tool()
    def delete_file(name: str) -> str:
        """Deletes a file, for good."""
        held.pop(name, None)
        return f"deleted {name}"


kind = sys.argv[1]
server = MCPServer(kind)
{"search": search, "files": files}[kind](server)


@server.custom_route("/health", methods=["GET"])
async def health(request: Request) -> Response:
    return Response("well")


# The SDK would take no host but localhost; the guard passes on the one that was called.
security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
server.run("streamable-http", host="127.0.0.1", port=8080, transport_security=security)
