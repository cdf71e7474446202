#!/usr/bin/env bash
# Makes the image of KServe's model server with two models, and imports it into the test
# cluster's containerd. Prints its name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/../lib/all.sh"

process_alive containerd || die "containerd does not run: tests/env/up first"
kserve_present || step "image: $KSERVE_IMAGE" image-kserve kserve_image >&2
echo "$KSERVE_IMAGE"
