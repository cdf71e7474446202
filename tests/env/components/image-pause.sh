# shellcheck shell=bash
# The sandbox image: a process that does nothing and reaps its children.

PAUSE_IMAGE=localhost/keywire-env/pause:1

pause_image() {
	image_ensure "$PAUSE_IMAGE" pause_rootfs '{"Entrypoint": ["/pause"], "User": "65535:65535"}' \
		"$ENV_DIR"/{components/image-pause.sh,images/pause/pause.c}
}

pause_rootfs() {
	gcc -O2 -static -o "$1/pause" "$ENV_DIR/images/pause/pause.c"
	strip "$1/pause"
}
