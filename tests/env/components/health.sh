# shellcheck shell=bash
# Is everything there that `up` starts? And what is there, for `status`.

CLUSTER_PROCESSES=(etcd kube-apiserver kube-controller-manager kube-scheduler containerd coredns kubelet kube-proxy)

# environment_healthy KEYCLOAK: every process alive, the API answering, the node
# ready and, with KEYCLOAK=yes, Keycloak on the bridge.
environment_healthy() {
	local keycloak=$1 name
	network_alive || return 1
	for name in "${CLUSTER_PROCESSES[@]}"; do
		process_alive "$name" || return 1
	done
	kubectl --request-timeout=5s get --raw /readyz >/dev/null 2>&1 || return 1
	node_is_ready || return 1
	[[ $keycloak == no ]] || keycloak_in_cluster
}

node_is_ready() {
	[[ $(kubectl --request-timeout=5s get node "$NODE_NAME" \
		-o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null) == True ]]
}

keycloak_in_cluster() {
	process_alive keycloak && [[ $(keycloak_address) == "$NODE_IP" ]] && keycloak_healthy >/dev/null 2>&1
}
