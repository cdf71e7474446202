# shellcheck shell=bash
# The six Kubernetes commands, built from source in one go.

KUBERNETES_ENTRY=kubernetes-$KUBERNETES_VERSION
KUBERNETES_COMMANDS=(kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl kubelet)

kubernetes_built() { cache_has "$KUBERNETES_ENTRY"; }
kubernetes_build() { cache_make "$KUBERNETES_ENTRY" kubernetes_compile; }

kubernetes_compile() {
	local version=k8s.io/component-base/version
	golang_build kubernetes "$1/" "$(printf ' -X %s' \
		"$version.gitVersion=v$KUBERNETES_VERSION" \
		"$version.gitMajor=$(cut -d. -f1 <<<"$KUBERNETES_VERSION")" \
		"$version.gitMinor=$(cut -d. -f2 <<<"$KUBERNETES_VERSION")")" \
		"${KUBERNETES_COMMANDS[@]/#/k8s.io/kubernetes/cmd/}"
}

kubernetes_bin() { echo "$(cache_path "$KUBERNETES_ENTRY")/$1"; }

# kubectl as the cluster's administrator.
kubectl() { "$(kubernetes_bin kubectl)" --kubeconfig "$KUBECONFIGS/admin.conf" "$@"; }
