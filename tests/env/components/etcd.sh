# shellcheck shell=bash
# etcd: the API server's store, on loopback, without TLS, without fsync.

ETCD_ENTRY=etcd-$ETCD_VERSION
ETCD_URL=http://127.0.0.1:$ETCD_PORT
ETCD_PEER_URL=http://127.0.0.1:$ETCD_PEER_PORT

etcd_built() { cache_has "$ETCD_ENTRY"; }
etcd_build() { cache_make "$ETCD_ENTRY" etcd_compile; }
etcd_compile() { golang_build etcd "$1/etcd" "" go.etcd.io/etcd/server/v3; }

etcd_start() {
	process_start etcd "$(cache_path "$ETCD_ENTRY")/etcd" \
		--name="$NODE_NAME" \
		--data-dir="$STATE/etcd" \
		--listen-client-urls="$ETCD_URL" \
		--advertise-client-urls="$ETCD_URL" \
		--listen-peer-urls="$ETCD_PEER_URL" \
		--initial-advertise-peer-urls="$ETCD_PEER_URL" \
		--initial-cluster="$NODE_NAME=$ETCD_PEER_URL" \
		--unsafe-no-fsync \
		--log-level=warn
	process_ready etcd 120 etcd_healthy
}

etcd_healthy() { curl -fsS --noproxy '*' -m 5 "$ETCD_URL/health"; }

etcd_stop() { process_stop etcd; }

etcd_reset() { rm -rf "$STATE/etcd"; }
