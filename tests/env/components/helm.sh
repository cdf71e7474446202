# shellcheck shell=bash
# Helm, a tool of the tests; nothing here uses it.

HELM_ENTRY=helm-$HELM_VERSION

helm_built() { cache_has "$HELM_ENTRY"; }
helm_build() { cache_make "$HELM_ENTRY" helm_compile; }
helm_compile() {
	golang_check
	GOBIN=$1 CGO_ENABLED=0 nice -n 5 go install -trimpath \
		-ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=v$HELM_VERSION" \
		"helm.sh/helm/v4/cmd/helm@v$HELM_VERSION"
}
