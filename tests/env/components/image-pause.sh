# shellcheck shell=bash
# The sandbox image: a process that does nothing and reaps its children.

PAUSE_IMAGE=localhost/keywire-env/pause:1

pause_image() { image_ensure "$PAUSE_IMAGE" pause_rootfs --entrypoint '["/pause"]' --user 65535:65535; }

pause_rootfs() {
	gcc -O2 -static -o "$1/pause" "$ENV_DIR/images/pause/pause.c"
	strip "$1/pause"
}
