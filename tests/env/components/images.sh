# shellcheck shell=bash
# Container images without a registry: an archive in the cache, imported into
# containerd. Each image has a file in images/ with a function that fills a
# folder with its root file system.

BUILDAH_DIR=$STATE/buildah

# image_ensure IMAGE FUNCTION [BUILDAH_CONFIG_ARG...]: builds the archive when
# the cache lacks it and imports it when containerd lacks it. FUNCTION fills the
# folder that it is given.
image_ensure() {
	local image=$1
	image_archived "$image" || cache_make "$(image_entry "$image")" image_make "$@"
	image_imported "$image" || image_import "$image"
}

# localhost/keywire/proxy:1 → image-keywire-proxy-1
image_entry() {
	local name=${1#localhost/}
	name=${name//\//-}
	echo "image-${name//:/-}"
}

image_archive() { echo "$(cache_path "$(image_entry "$1")")/image.tar"; }
image_archived() { [[ -s $(image_archive "$1") ]]; }

image_make() {
	local folder=$1 image=$2 function=$3
	shift 3
	mkdir "$folder/root"
	"$function" "$folder/root"
	rootfs_image "$folder/root" "$image" "$folder/image.tar" "$@"
	rm -rf "$folder/root" "$BUILDAH_DIR"
}

image_imported() { ctr_k8s images list -q "name==$1" | grep -qxF "$1"; }

image_import() {
	ctr_k8s images import "$(image_archive "$1")"
	image_imported "$1" || { echo "imported, but containerd does not have it: $1"; return 1; }
}
