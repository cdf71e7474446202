#!/usr/bin/env bash
# Makes the image of llama.cpp's server with two tiny models, and of an
# application with OpenAI's own client, and imports it into the test cluster's
# containerd. Prints its name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/../lib/all.sh"

process_alive containerd || die "containerd does not run: tests/env/up first"
slm_present || {
	server_built llamacpp || step "install: llamacpp $LLAMACPP_VERSION" install-server-llamacpp server_build llamacpp >&2
	step "image: $SLM_IMAGE" image-slm slm_image >&2
}
echo "$SLM_IMAGE"
