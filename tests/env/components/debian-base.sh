# shellcheck shell=bash
# A minimal Debian with Python, as a tar file: the base of images of Python
# servers.

debian_base_entry() { echo "debian-$DEBIAN_RELEASE-python"; }
debian_base_built() { cache_has "$(debian_base_entry)"; }
debian_base_build() { cache_make "$(debian_base_entry)" debian_base_make; }

debian_base_make() {
	local folder=$1 mirror
	mirror=$(debian_mirror)
	nice -n 5 debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
		"$DEBIAN_RELEASE" "$folder/root" "$mirror"
	rm -rf "$folder"/root/var/{cache/apt,lib/apt/lists,log}/* "$folder"/root/usr/share/{doc,man,locale}/*
	# The mirror is this machine's matter.
	: >"$folder/root/etc/apt/sources.list"
	tar -C "$folder/root" -cf "$folder/base.tar" .
	rm -rf "$folder/root"
}

# The mirror that apt uses here.
debian_mirror() {
	local mirror
	# shellcheck disable=SC2016 # apt's own variables
	mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
		awk -F'|' '$1 == "Debian" && $2 == "Debian" {print $3; exit}')
	[[ -n $mirror ]] || { echo "apt has no Debian mirror; is this Debian, and was apt-get update run?"; return 1; }
	echo "$mirror"
}

# debian_chroot ROOT COMMAND...: with nothing of this machine's environment but
# pip's settings.
debian_chroot() {
	local root=$1 settings
	shift
	mapfile -t settings < <(env | grep -E '^(PIP_(INDEX_URL|EXTRA_INDEX_URL|DEFAULT_TIMEOUT)|https?_proxy|HTTPS?_PROXY|no_proxy)=' || true)
	nice -n 5 chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CERT=/tmp/host-ca.crt "${settings[@]}" "$@"
}

# How this machine resolves names and whom it trusts; gone again before the
# image is made.
debian_prepare_network() {
	local root=$1
	cp -L /etc/resolv.conf "$root/etc/resolv.conf"
	cp -L /etc/hosts "$root/etc/hosts"
	cp /etc/ssl/certs/ca-certificates.crt "$root/tmp/host-ca.crt"
}
debian_forget_network() { rm -f "$1"/etc/{resolv.conf,hosts} "$1/tmp/host-ca.crt"; }

# debian_packages ROOT PACKAGE...: installs them there, and nothing that they only recommend.
debian_packages() {
	local root=$1 mirror
	shift
	mirror=$(debian_mirror)
	echo "deb $mirror $DEBIAN_RELEASE main" >"$root/etc/apt/sources.list"
	debian_prepare_network "$root"
	debian_chroot "$root" apt-get -qq update
	debian_chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$@"
	rm -rf "$root"/var/{cache/apt,lib/apt/lists,log}/*
	: >"$root/etc/apt/sources.list"
	debian_forget_network "$root"
}
