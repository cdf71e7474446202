# shellcheck shell=bash
# shellcheck disable=SC2034 # the tables are passed by name
# Debian's packages. Each is looked for by a file that it brings, so that a
# second run asks neither apt nor dpkg.

declare -A PACKAGE_FILES=(
	[buildah]=/usr/bin/buildah
	[busybox-static]=/bin/busybox
	[ca-certificates]=/etc/ssl/certs/ca-certificates.crt
	[conntrack]=/usr/sbin/conntrack
	[containerd]=/usr/bin/containerd
	[containernetworking-plugins]=/usr/lib/cni/bridge
	[curl]=/usr/bin/curl
	[default-jre-headless]=/usr/bin/java
	[debootstrap]=/usr/sbin/debootstrap
	[gcc]=/usr/bin/gcc
	[iproute2]=/sbin/ip
	[jq]=/usr/bin/jq
	[maven]=/usr/bin/mvn
	[nftables]=/usr/sbin/nft
	[openssl]=/usr/bin/openssl
	[python3-venv]=/usr/bin/python3
	[runc]=/usr/sbin/runc
	[unzip]=/usr/bin/unzip
)
# Only the benchmark's.
declare -A BENCH_PACKAGE_FILES=(
	[nginx-light]=/usr/sbin/nginx
)

# Only the contract tests'.
declare -A LDAP_PACKAGE_FILES=(
	[slapd]=/usr/sbin/slapd
)

packages_missing() {
	local -n files=$1
	local package
	for package in "${!files[@]}"; do
		[[ -e ${files[$package]} ]] || echo "$package"
	done
}

# packages_install TABLE: installs what is missing and starts no service.
packages_install() {
	local missing status=0
	mapfile -t missing < <(packages_missing "$1" | sort)
	((${#missing[@]})) || return 0
	packages_forbid_services
	apt_get update || echo "apt-get update failed; trying with the lists that are here"
	apt_get install --no-install-recommends "${missing[@]}" || status=$?
	packages_allow_services
	((status == 0)) || return "$status"
	mapfile -t missing < <(packages_missing "$1")
	((${#missing[@]} == 0)) || { echo "installed, but not where expected: ${missing[*]}"; return 1; }
}

apt_get() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

# Debian starts a package's services when it is installed. policy-rc.d is the
# documented way to refuse; one that is there already is left alone.
POLICY_RC=/usr/sbin/policy-rc.d
POLICY_MARK='# made by the keywire test environment'

packages_forbid_services() {
	[[ ! -e $POLICY_RC ]] || return 0
	printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY_RC"
	chmod 755 "$POLICY_RC"
}

packages_allow_services() {
	if grep -qsF "$POLICY_MARK" "$POLICY_RC"; then rm -f "$POLICY_RC"; fi
}

packages_built() { [[ -z $(packages_missing PACKAGE_FILES) ]]; }
packages_build() { packages_install PACKAGE_FILES; }
