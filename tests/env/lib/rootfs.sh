# shellcheck shell=bash
# Root file systems for small images, and images out of them.

# rootfs_binary ROOT BINARY [DESTINATION]: the binary with every shared library
# that it needs, the loader among them, at the paths where it looks for them.
rootfs_binary() {
	local root=$1 binary=$2 destination=${3:-$2} library
	install -D -m 755 "$binary" "$root$destination"
	while read -r library; do
		[[ -e $root$library ]] || install -D -m 755 "$library" "$root$library"
	done < <(ldd "$binary" 2>/dev/null | grep -o '/[^ ]*')
}

# rootfs_basics ROOT: certificate authorities, the user 65532, /tmp.
rootfs_basics() {
	local root=$1
	install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
	printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
	printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
	install -d -m 1777 "$root/tmp"
}

# rootfs_image ROOT IMAGE ARCHIVE [BUILDAH_CONFIG_ARG...]: one layer on scratch.
rootfs_image() {
	local root=$1 image=$2 archive=$3 container
	shift 3
	buildah_ from --name "keywire-env-$$" scratch
	container=keywire-env-$$
	buildah_ copy --quiet "$container" "$root" /
	buildah_ config "$@" "$container"
	buildah_ commit --quiet --rm "$container" "$image"
	buildah_ push --quiet "$image" "docker-archive:$archive:$image"
	buildah_ rmi "$image"
}

# vfs needs no mounts. Its store is a scratch folder beside the archive: what is
# kept is the archive.
buildah_() {
	nice -n 5 buildah --root "$BUILDAH_DIR/root" --runroot "$BUILDAH_DIR/run" --storage-driver vfs "$@"
}
