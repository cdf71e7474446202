#!/usr/bin/env bash
# Makes the image of Dagster, and imports it into the test
# cluster's containerd. Prints its name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/../lib/all.sh"

process_alive containerd || die "containerd does not run: tests/env/up first"
dagster_present || step "image: $DAGSTER_IMAGE" image-dagster dagster_image >&2
echo "$DAGSTER_IMAGE"
