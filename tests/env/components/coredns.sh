# shellcheck shell=bash
# Cluster DNS: CoreDNS as a host process at the bridge's address.

coredns_entry() { echo "coredns-$COREDNS_VERSION-$(hash_of "$ENV_DIR"/build/coredns/{main.go,go.mod})"; }
coredns_built() { cache_has "$(coredns_entry)"; }
coredns_build() { cache_make "$(coredns_entry)" coredns_compile; }
coredns_compile() { golang_build coredns "$1/coredns" "" .; }

coredns_start() {
	coredns_corefile | write_file "$STATE/Corefile"
	kubectl apply -f "$ENV_DIR/manifests/coredns.yaml"
	process_start coredns "$(cache_path "$(coredns_entry)")/coredns" -conf "$STATE/Corefile"
	process_ready coredns 120 curl -fsS --noproxy '*' http://127.0.0.1:8181/ready
}

# No upstream: a name outside the cluster does not exist, the same answer on
# every machine, and no question leaves this one.
coredns_corefile() {
	cat <<-COREFILE
		.:53 {
		    bind $NODE_IP
		    errors
		    ready 127.0.0.1:8181
		    kubernetes $CLUSTER_DOMAIN in-addr.arpa {
		        kubeconfig $KUBECONFIGS/coredns.conf
		        ttl 5
		    }
		    template ANY ANY . {
		        rcode NXDOMAIN
		    }
		}
	COREFILE
}

coredns_stop() {
	process_stop coredns
	rm -f "$STATE/Corefile"
}
