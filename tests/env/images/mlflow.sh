#!/usr/bin/env bash
# Makes the image of MLflow with sign-in by OpenID Connect, and imports it into the test
# cluster's containerd. Prints its name.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/../lib/all.sh"

process_alive containerd || die "containerd does not run: tests/env/up first"
mlflow_present || step "image: $MLFLOW_IMAGE" image-mlflow mlflow_image >&2
echo "$MLFLOW_IMAGE"
