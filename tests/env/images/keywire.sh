#!/usr/bin/env bash
# Makes images of Keywire's own binaries and imports them into the test
# cluster's containerd.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=/dev/null
source "$(dirname "${BASH_SOURCE[0]}")/../lib/all.sh"

usage() {
	cat <<-TEXT
		usage: tests/env/images/keywire.sh [--tag TAG] [--operator BINARY] [--proxy BINARY]

		The binaries are built for this machine (default:
		target/release/keywire-operator and target/sidecar/keywire-proxy). Prints one line per image on standard output:

		  operator=localhost/keywire/operator:TAG
		  proxy=localhost/keywire/proxy:TAG

		Without --tag the tag is the binary's hash, so an unchanged binary makes
		no new image. Pods need imagePullPolicy Never or IfNotPresent.
	TEXT
}

main() {
	local target=${CARGO_TARGET_DIR:-$REPO/target} tag=''
	local operator=$target/release/keywire-operator proxy=$target/sidecar/keywire-proxy
	while (($#)); do
		case $1 in
		--tag) tag=${2:?--tag needs a value}; shift ;;
		--operator) operator=${2:?--operator needs a file}; shift ;;
		--proxy) proxy=${2:?--proxy needs a file}; shift ;;
		-h | --help) usage; exit 0 ;;
		*) usage >&2; exit 2 ;;
		esac
		shift
	done
	process_alive containerd || die "containerd does not run: tests/env/up first"
	make_image operator "$operator" "$tag"
	make_image proxy "$proxy" "$tag"
}

# The lines on standard output are for scripts; the rest goes to standard error.
make_image() {
	local name=$1 binary=$2 tag=$3 image
	[[ -x $binary ]] || die "$binary is missing: make images builds it"
	image=localhost/keywire/$name:${tag:-$(hash_of "$binary" "$REPO/deploy/images/Containerfile" "$ENV_DIR/images/keywire.sh")}
	if ! image_known "$image" || [[ -n $tag ]]; then
		step "image: $image" images keywire_image "$image" "$binary" >&2
	fi
	echo "$name=$image"
}

# A tag of its own choice may be made anew at any time: never from the cache.
# The archive is not kept, for every change of the code makes another.
keywire_image() {
	local image=$1 binary=$2 folder
	folder=$(mktemp -d "$STATE/image.XXXXXX")
	# shellcheck disable=SC2064 # the folder of now
	trap "rm -rf '$folder'" EXIT
	rootfs_basics "$folder/root"
	rootfs_binary "$folder/root" "$(realpath "$binary")" "/usr/local/bin/${binary##*/}"
	# A debug build's symbols would be most of the image.
	strip "$folder/root/usr/local/bin/${binary##*/}"
	buildah_image "$folder" "$image" "${binary##*/keywire-}"
	ctr_k8s images import "$folder/image.tar"
}

# The same recipe as a release's. `vfs` and `chroot` need neither kernel modules
# nor a user namespace; the storage lies in the folder, so nothing stays behind.
buildah_image() {
	local folder=$1 image=$2 target=$3
	local buildah=(buildah --storage-driver vfs --root "$folder/storage" --runroot "$folder/run")
	"${buildah[@]}" build --isolation chroot --target "$target" --tag "$image" \
		--file "$REPO/deploy/images/Containerfile" "$folder"
	"${buildah[@]}" push "$image" "docker-archive:$folder/image.tar:$image"
}

main "$@"
