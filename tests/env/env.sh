# shellcheck shell=bash
# To be sourced: KUBECONFIG, PATH, KEYCLOAK_URL and the like of the running
# environment. Works in bash and zsh.
if [ -r "${KEYWIRE_STATE:-/var/lib/keywire-env}/env" ]; then
	# shellcheck source=/dev/null
	. "${KEYWIRE_STATE:-/var/lib/keywire-env}/env"
else
	echo "the test environment does not run; start it with tests/env/up" >&2
	false
fi
