# shellcheck shell=bash
# Building with Go's ordinary client. The modules in build/ pin every
# dependency with go.sum.

golang_check() {
	command -v go >/dev/null && return 0
	echo "needs Go (build/kubernetes/go.mod says which) on the PATH"
	return 1
}

# golang_build MODULE_FOLDER OUTPUT LDFLAGS PACKAGE...: static binaries.
golang_build() {
	local folder=$1 output=$2 ldflags=$3
	shift 3
	golang_check
	(cd "$ENV_DIR/build/$folder" &&
		CGO_ENABLED=0 nice -n 5 go build -mod=readonly -trimpath -buildvcs=false \
			-ldflags "-s -w $ldflags" -o "$output" "$@")
}
