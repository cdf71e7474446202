# shellcheck shell=bash
# Prefect: server, worker and client alike, on the packages of tests/servers' own.

PREFECT_IMAGE=localhost/keywire-env/prefect:$PREFECT_VERSION
PREFECT_FILES=(
	"$ENV_DIR/components/python-image.sh"
	"$ENV_DIR/components/image-prefect.sh"
	"$ENV_DIR/servers.d/prefect.txt"
)

prefect_present() { image_present "$PREFECT_IMAGE" "${PREFECT_FILES[@]}"; }
prefect_image() { image_ensure "$PREFECT_IMAGE" prefect_rootfs "$(python_config '[]')" "${PREFECT_FILES[@]}"; }
prefect_rootfs() { python_rootfs "$1" "$ENV_DIR/servers.d/prefect.txt"; }
