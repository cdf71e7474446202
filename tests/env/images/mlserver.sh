#!/usr/bin/env bash
# Makes the image of a real model server and imports it into the test cluster's
# containerd. Prints its name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/../lib/all.sh"

process_alive containerd || die "containerd does not run: tests/env/up first"
mlserver_present || step "image: $MLSERVER_IMAGE" image-mlserver mlserver_image >&2
echo "$MLSERVER_IMAGE"
