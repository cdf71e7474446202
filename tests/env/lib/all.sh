# shellcheck shell=bash
# Sourced by every command; ENV_DIR is tests/env.
set -euo pipefail

ENV_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for file in "$ENV_DIR"/versions.sh "$ENV_DIR"/lib/{settings,log,cache,wait,process,lock,rootfs}.sh "$ENV_DIR"/components/*.sh; do
	# shellcheck source=/dev/null
	source "$file"
done
unset file
