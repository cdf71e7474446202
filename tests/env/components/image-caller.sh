# shellcheck shell=bash
# An ordinary workload: a shell, the usual small commands and curl.

CALLER_IMAGE=localhost/keywire-env/caller:1

caller_image() {
	image_ensure "$CALLER_IMAGE" caller_rootfs '{
		"Entrypoint": ["/bin/sh"],
		"User": "65532:65532",
		"Env": ["PATH=/usr/bin:/bin", "HOME=/tmp"]
	}' "$ENV_DIR/components/image-caller.sh"
}

caller_rootfs() {
	local root=$1 command
	rootfs_basics "$root"
	rootfs_binary "$root" /usr/bin/curl
	rootfs_binary "$root" /bin/busybox
	while read -r command; do
		[[ -e $root/bin/$command ]] || ln -s busybox "$root/bin/$command"
	done < <(/bin/busybox --list)
}
