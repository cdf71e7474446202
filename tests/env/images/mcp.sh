#!/usr/bin/env bash
# Makes the image of real MCP servers and of an agent that uses them, with the
# SDK's own server and client, and imports it into the test cluster's containerd.
# Prints its name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/../lib/all.sh"

process_alive containerd || die "containerd does not run: tests/env/up first"
mcp_present || step "image: $MCP_IMAGE" image-mcp mcp_image >&2
echo "$MCP_IMAGE"
