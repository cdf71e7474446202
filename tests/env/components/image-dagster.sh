# shellcheck shell=bash
# Dagster's webserver, on the packages of tests/servers' own.

DAGSTER_IMAGE=localhost/keywire-env/dagster:$DAGSTER_VERSION
DAGSTER_FILES=(
	"$ENV_DIR/components/python-image.sh"
	"$ENV_DIR/components/image-dagster.sh"
	"$ENV_DIR/servers.d/dagster.txt"
)

dagster_present() { image_present "$DAGSTER_IMAGE" "${DAGSTER_FILES[@]}"; }
dagster_image() { image_ensure "$DAGSTER_IMAGE" dagster_rootfs "$(python_config '[]')" "${DAGSTER_FILES[@]}"; }
dagster_rootfs() { python_rootfs "$1" "$ENV_DIR/servers.d/dagster.txt"; }
