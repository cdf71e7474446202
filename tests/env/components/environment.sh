# shellcheck shell=bash
# The file that tests and people source.

ENVIRONMENT_FILE=$STATE/env

# environment_write: says in shell what is there. 0600, for it has the password.
environment_write() {
	(umask 077 && environment_text >"$ENVIRONMENT_FILE.new")
	mv "$ENVIRONMENT_FILE.new" "$ENVIRONMENT_FILE"
}

environment_text() {
	echo "# Written by tests/env; source it, or tests/env/env.sh."
	environment_export KEYWIRE_STATE "$STATE"
	environment_export KEYWIRE_CACHE "$CACHE"
	if process_alive kube-apiserver; then
		environment_export KUBECONFIG "$KUBECONFIGS/admin.conf"
		environment_export CONTAINERD_ADDRESS "$CONTAINERD_SOCKET"
		environment_export CONTAINERD_NAMESPACE k8s.io
		# shellcheck disable=SC2016 # for whoever sources it to expand
		printf 'export PATH=%q:%q:"$PATH"\n' "$(cache_path "$KUBERNETES_ENTRY")" "$(cache_path "$HELM_ENTRY")"
	fi
	if process_alive keycloak; then
		environment_export KEYCLOAK_URL "$KEYCLOAK_LOCAL_URL"
		environment_export KEYCLOAK_INTERNAL_URL "$KEYCLOAK_INTERNAL_URL"
		environment_export KEYCLOAK_MANAGEMENT_URL "http://127.0.0.1:$KEYCLOAK_MANAGEMENT_PORT"
		environment_export KEYCLOAK_ADMIN_USERNAME "$KEYCLOAK_ADMIN_USERNAME"
		environment_export KEYCLOAK_ADMIN_PASSWORD "$(<"$KEYCLOAK_DIR/password")"
	fi
	if process_alive ldap; then
		environment_export LDAP_URL "$LDAP_URL"
		environment_export LDAP_PASSWORD "$(<"$LDAP_DIR/password")"
	fi
}

environment_export() { printf 'export %s=%q\n' "$1" "$2"; }
