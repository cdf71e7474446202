# shellcheck shell=bash
# Container images without a registry: an archive in the cache, imported into
# containerd. Each image has a file image-*.sh beside this one with a function
# that fills a folder with its root file system; sources are in images/.

# image_ensure IMAGE FUNCTION CONFIG SOURCE...: builds the archive when the cache
# lacks it and imports it when containerd lacks it. FUNCTION fills the folder
# that it is given; CONFIG is the image's run configuration as JSON; a changed
# SOURCE makes a new archive.
image_ensure() {
	local image=$1 function=$2 config=$3 entry
	shift 3
	entry=$(image_entry "$image" "$@")
	cache_has "$entry" || cache_make "$entry" image_make "$image" "$function" "$config"
	image_imported "$image" "$entry" || image_import "$image" "$entry"
}

# image_present IMAGE SOURCE...: whether image_ensure has nothing to do.
image_present() { image_imported "$1" "$(image_entry "$@")"; }

# localhost/keywire-env/caller:1 → image-keywire-env-caller-1-<hash of sources>
image_entry() {
	local name=${1#localhost/}
	shift
	name=${name//\//-}
	echo "image-${name//:/-}-$(hash_of "$@")"
}

image_make() {
	local folder=$1 image=$2 function=$3 config=$4
	mkdir "$folder/root"
	"$function" "$folder/root"
	rootfs_image "$folder/root" "$image" "$folder/image.tar" "$config"
	rm -rf "$folder/root"
}

# An image's name alone does not tell what was imported under it: a stamp does.
image_imported() { [[ -e $(image_stamp "$2") ]] && image_known "$1"; }
image_stamp() { echo "$CONTAINERD_DIR/imported/$1"; }
image_known() { ctr_k8s images list -q "name==$1" | grep -qxF "$1"; }

image_import() {
	local image=$1 entry=$2
	ctr_k8s images import "$(cache_path "$entry")/image.tar"
	image_known "$image" || { echo "imported, but containerd does not have it: $image"; return 1; }
	mkdir -p "$CONTAINERD_DIR/imported"
	touch "$(image_stamp "$entry")"
}

# Forgets every image but the environment's own: Keywire's, of which every change
# of the code makes two, and what was replaced under its name and lives on under
# the name by digest that the kubelet's interface adds. Only for `down`: a pod
# that starts would miss its image.
images_prune() {
	images_superfluous | xargs -r ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io images rm
}

images_superfluous() {
	ctr_k8s images list | awk '
		NR > 1 {digest[$1] = $3}
		$1 ~ "^localhost/keywire-env/" {kept[$3] = 1}
		END {for (name in digest) if (!(digest[name] in kept)) print name}'
}
