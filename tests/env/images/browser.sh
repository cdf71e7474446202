#!/usr/bin/env bash
# Makes the image of Chromium with a program that drives it, and imports it into the test
# cluster's containerd. Prints its name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/../lib/all.sh"

process_alive containerd || die "containerd does not run: tests/env/up first"
browser_present || step "image: $BROWSER_IMAGE" image-browser browser_image >&2
echo "$BROWSER_IMAGE"
