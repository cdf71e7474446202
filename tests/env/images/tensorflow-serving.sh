#!/usr/bin/env bash
# Makes the image of a server with TensorFlow Serving's REST API, and imports it into the test
# cluster's containerd. Prints its name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/../lib/all.sh"

process_alive containerd || die "containerd does not run: tests/env/up first"
tensorflow_serving_present || step "image: $TENSORFLOW_SERVING_IMAGE" image-tensorflow-serving tensorflow_serving_image >&2
echo "$TENSORFLOW_SERVING_IMAGE"
