# shellcheck shell=bash
# KServe's model server with two models, on the packages of tests/servers' own.

KSERVE_IMAGE=localhost/keywire-env/kserve:$KSERVE_VERSION
KSERVE_SOURCES=$ENV_DIR/images/kserve
KSERVE_FILES=(
	"$ENV_DIR/components/python-image.sh"
	"$ENV_DIR/components/image-kserve.sh"
	"$ENV_DIR/servers.d/kserve.txt"
	"$KSERVE_SOURCES/server.py"
)

kserve_present() { image_present "$KSERVE_IMAGE" "${KSERVE_FILES[@]}"; }

kserve_image() {
	local entrypoint='["/opt/venv/bin/python", "/app/server.py"]'
	image_ensure "$KSERVE_IMAGE" kserve_rootfs "$(python_config "$entrypoint")" "${KSERVE_FILES[@]}"
}

kserve_rootfs() {
	python_rootfs "$1" "$ENV_DIR/servers.d/kserve.txt"
	install -D -m 644 -t "$1/app" "$KSERVE_SOURCES/server.py"
}
