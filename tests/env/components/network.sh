# shellcheck shell=bash
# The bridge that is the node's address, the pods' switch and their gateway.

network_start() {
	network_sysctl net.ipv4.ip_forward 1
	network_present || ip link add "$BRIDGE" type bridge
	ip address replace "$NODE_IP/16" dev "$BRIDGE"
	ip link set "$BRIDGE" up
	# Frames between two pods must pass the rules of kube-proxy too, or answers
	# from behind a Service come from an address that the caller did not ask.
	network_sysctl net.bridge.bridge-nf-call-iptables 1
	# Service addresses never leave the machine, not even unassigned ones, and
	# the host reaches them from the bridge's address.
	ip route replace "$SERVICE_CIDR" dev "$BRIDGE" src "$NODE_IP"
	network_loopback_keycloak
}

# Keycloak listens on one address only. Cluster mode makes that the bridge's, so
# 127.0.0.1 is led there: one URL for the host, with and without a cluster.
network_loopback_keycloak() {
	nft -f - <<-RULES
		table ip keywire-env
		delete table ip keywire-env
		table ip keywire-env {
			chain output {
				type nat hook output priority -100;
				ip daddr 127.0.0.1 tcp dport { $KEYCLOAK_PORT, $KEYCLOAK_MANAGEMENT_PORT } dnat to $NODE_IP
			}
		}
	RULES
}

network_loopback_direct() { nft delete table ip keywire-env 2>/dev/null || true; }

# network_sysctl NAME VALUE: sets it and remembers what it was.
network_sysctl() {
	local name=$1 value=$2 file=/proc/sys/${1//./\/}
	[[ -e $file ]] || { echo "the kernel has no $name"; return 1; }
	[[ $(<"$file") != "$value" ]] || return 0
	mkdir -p "$STATE/sysctl"
	[[ -e $STATE/sysctl/$name ]] || cp "$file" "$STATE/sysctl/$name"
	echo "$value" >"$file"
}

network_stop() {
	local table
	# Ours, and what kube-proxy made (it has no way to clean up at its end).
	for table in "ip keywire-env" "ip kube-proxy" "ip6 kube-proxy"; do
		# shellcheck disable=SC2086 # family and name are two words
		nft delete table $table 2>/dev/null || true
	done
	ip link delete "$BRIDGE" 2>/dev/null || true
	network_restore_sysctls
}

network_restore_sysctls() {
	local saved name
	for saved in "$STATE"/sysctl/*; do
		[[ -e $saved ]] || continue
		name=${saved##*/}
		cp "$saved" "/proc/sys/${name//./\/}"
		rm -f "$saved"
	done
}

network_present() { ip link show "$BRIDGE" >/dev/null 2>&1; }
network_alive() { ip -o -4 address show dev "$BRIDGE" 2>/dev/null | grep -q " $NODE_IP/"; }
