# shellcheck shell=bash

# take_lock: only one of up, down and keycloak changes the environment at a
# time. The lock is descriptor 9; servers are started without it.
take_lock() {
	mkdir -p "$STATE"
	exec 9>"$STATE/lock"
	flock --nonblock 9 && return 0
	log "another run is changing the environment; waiting for it"
	flock --timeout 900 9 || die "another run still holds $STATE/lock"
}

require_root() {
	((EUID == 0)) || die "needs root: it makes a bridge, network namespaces and containers"
}
