#!/usr/bin/env bash
# Makes the image of Prefect, and imports it into the test
# cluster's containerd. Prints its name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/../lib/all.sh"

process_alive containerd || die "containerd does not run: tests/env/up first"
prefect_present || step "image: $PREFECT_IMAGE" image-prefect prefect_image >&2
echo "$PREFECT_IMAGE"
