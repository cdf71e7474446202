# shellcheck shell=bash
# shellcheck disable=SC2034 # read by the files that source this one
# Where things are and at which addresses. Everything that the environment
# writes lies in two folders: CACHE (what was built or downloaded, keyed by
# version; safe to keep, safe to delete) and STATE (what runs).

REPO=$(cd "$ENV_DIR/../.." && pwd)
# Outside the clone, because one machine has one environment (the bridge and the
# ports are fixed) and every clone must find it. Short, because unix sockets in
# it have at most 108 bytes for their path.
STATE=${KEYWIRE_STATE:-/var/lib/keywire-env}
RUN=$STATE/run       # pidfiles
LOGS=$STATE/logs
PKI=$STATE/pki
KUBECONFIGS=$STATE/kubeconfig

# What runs was started from one cache; from whichever clone it is looked after,
# it is that cache's kubectl that must be used. `down` forgets it.
CACHE_IN_USE=$STATE/cache
settings_cache() {
	local used
	if [[ -n ${KEYWIRE_CACHE:-} ]]; then
		echo "$KEYWIRE_CACHE"
	elif used=$(cat "$CACHE_IN_USE" 2>/dev/null) && [[ -d $used ]]; then
		echo "$used"
	else
		echo "$REPO/.cache/keywire"
	fi
}
CACHE=$(settings_cache)

# The network. The bridge is the node: its address is the API server's, the DNS
# server's, Keycloak's and the gateway of every pod.
BRIDGE=keywire0
NODE_NAME=keywire
NODE_IP=10.85.0.1
POD_CIDR=10.85.0.0/16
SERVICE_CIDR=10.86.0.0/16
KUBERNETES_SERVICE_IP=10.86.0.1
CLUSTER_DOMAIN=cluster.local
# Another address and other ports are for a second API server beside it (see apiserver).
API_ADDRESS=${KEYWIRE_API_ADDRESS:-$NODE_IP}
API_PORT=${KEYWIRE_API_PORT:-6443}
API_URL=https://$API_ADDRESS:$API_PORT
ETCD_PORT=${KEYWIRE_ETCD_PORT:-2379}
ETCD_PEER_PORT=${KEYWIRE_ETCD_PEER_PORT:-2380}

# Keycloak. One issuer for pods, host and browser; the host may use any address
# for calls, since --hostname is a full URL.
# Other ports are for a second one beside it (see matrix), on loopback alone.
KEYCLOAK_PORT=${KEYWIRE_KEYCLOAK_PORT:-8080}
KEYCLOAK_MANAGEMENT_PORT=${KEYWIRE_KEYCLOAK_MANAGEMENT_PORT:-9000}
KEYCLOAK_LOCAL_URL=http://127.0.0.1:$KEYCLOAK_PORT
KEYCLOAK_INTERNAL_URL=http://keycloak.keycloak.svc:$KEYCLOAK_PORT
KEYCLOAK_ADMIN_USERNAME='admin'

# The directory, for contract tests.
LDAP_PORT=${KEYWIRE_LDAP_PORT:-3890}
LDAP_URL=ldap://127.0.0.1:$LDAP_PORT

CONTAINERD_SOCKET=$STATE/containerd/containerd.sock
CNI_NETWORK=keywire-env
