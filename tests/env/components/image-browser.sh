# shellcheck shell=bash
# Chromium, and a program that drives it through a walk.

BROWSER_IMAGE=localhost/keywire-env/browser:1
BROWSER_SOURCES=$ENV_DIR/images/browser
BROWSER_FILES=(
	"$ENV_DIR/components/python-image.sh"
	"$ENV_DIR/components/image-browser.sh"
	"$BROWSER_SOURCES"/{requirements.txt,drive.py}
)

browser_present() { image_present "$BROWSER_IMAGE" "${BROWSER_FILES[@]}"; }
browser_image() {
	image_ensure "$BROWSER_IMAGE" browser_rootfs "$(python_config '["python", "/app/drive.py"]')" "${BROWSER_FILES[@]}"
}

browser_rootfs() {
	local root=$1
	python_rootfs "$root" "$BROWSER_SOURCES/requirements.txt"
	install -D "$BROWSER_SOURCES/drive.py" "$root/app/drive.py"
	debian_packages "$root" chromium chromium-driver fonts-dejavu-core
}
