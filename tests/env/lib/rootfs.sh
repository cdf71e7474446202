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

# rootfs_image ROOT IMAGE ARCHIVE CONFIG: an image of one layer, in the format
# of `docker save`, which containerd imports. CONFIG is the image's run
# configuration as JSON. No container tool is needed for that, and the same
# contents make the same bytes.
rootfs_image() {
	local root=$1 image=$2 archive=$3 config=$4 parts
	parts=$(mktemp -d "$archive.XXXXXX")
	tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$parts/layer.tar" .
	jq -n --argjson config "$config" --arg layer "sha256:$(sha256sum <"$parts/layer.tar" | cut -d' ' -f1)" \
		--arg architecture "$(dpkg --print-architecture)" '{
			$architecture, os: "linux", $config, created: "1970-01-01T00:00:00Z",
			rootfs: {type: "layers", diff_ids: [$layer]},
			history: [{created: "1970-01-01T00:00:00Z", created_by: "keywire test environment"}]
		}' >"$parts/config.json"
	jq -n --arg image "$image" \
		'[{Config: "config.json", RepoTags: [$image], Layers: ["layer.tar"]}]' >"$parts/manifest.json"
	tar -C "$parts" -cf "$archive" manifest.json config.json layer.tar
	rm -rf "$parts"
}
