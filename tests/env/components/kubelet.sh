# shellcheck shell=bash
# The node: kubelet and kube-proxy.

KUBELET_DIR=$STATE/kubelet

kubelet_start() {
	kubelet_config | write_file "$KUBELET_DIR/config.yaml"
	# Pods get the cluster's search list only, not the machine's.
	echo "nameserver $NODE_IP" | write_file "$KUBELET_DIR/resolv.conf"
	process_start kubelet "$(kubernetes_bin kubelet)" \
		--config="$KUBELET_DIR/config.yaml" \
		--root-dir="$KUBELET_DIR" \
		--cert-dir="$KUBELET_DIR/pki" \
		--kubeconfig="$KUBECONFIGS/kubelet.conf" \
		--hostname-override="$NODE_NAME" \
		--node-ip="$NODE_IP"
	process_ready kubelet 120 curl -fsS --noproxy '*' http://127.0.0.1:10248/healthz
}

# Everything about the machine's size is switched off: a test node must not
# evict a pod because a build fills the disk beside it.
kubelet_config() {
	cat <<-YAML
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: $NODE_IP
		healthzBindAddress: 127.0.0.1
		authentication:
		  anonymous: {enabled: false}
		  webhook: {enabled: true}
		  x509: {clientCAFile: $PKI/ca.crt}
		authorization: {mode: Webhook}
		tlsCertFile: $PKI/kubelet.crt
		tlsPrivateKeyFile: $PKI/kubelet.key
		clusterDomain: $CLUSTER_DOMAIN
		clusterDNS: [$NODE_IP]
		containerRuntimeEndpoint: unix://$CONTAINERD_SOCKET
		cgroupDriver: cgroupfs
		failCgroupV1: false
		failSwapOn: false
		enforceNodeAllocatable: []
		localStorageCapacityIsolation: false
		makeIPTablesUtilChains: false
		evictionHard:
		  memory.available: 1Mi
		  nodefs.available: 0%
		  nodefs.inodesFree: 0%
		  imagefs.available: 0%
		imageGCHighThresholdPercent: 100
		imageGCLowThresholdPercent: 99
		maxPods: 250
		registerWithTaints: []
		podLogsDir: $STATE/pod-logs
		volumePluginDir: $KUBELET_DIR/volume-plugins
		resolvConf: $KUBELET_DIR/resolv.conf
		shutdownGracePeriod: 0s
		syncFrequency: 10s
		fileCheckFrequency: 0s
		httpCheckFrequency: 0s
		configMapAndSecretChangeDetectionStrategy: Watch
		serializeImagePulls: false
	YAML
}

kubelet_node_ready() { kubectl wait --for=condition=Ready "node/$NODE_NAME" --timeout=120s; }

kube_proxy_start() {
	kube_proxy_config | write_file "$KUBELET_DIR/kube-proxy.yaml"
	process_start kube-proxy "$(kubernetes_bin kube-proxy)" \
		--config="$KUBELET_DIR/kube-proxy.yaml" --hostname-override="$NODE_NAME"
	process_ready kube-proxy 120 curl -fsS --noproxy '*' http://127.0.0.1:10256/healthz
}

# nftables: its rules are one table, so `down` can take all of them away.
kube_proxy_config() {
	cat <<-YAML
		apiVersion: kubeproxy.config.k8s.io/v1alpha1
		kind: KubeProxyConfiguration
		mode: nftables
		nftables: {minSyncPeriod: 100ms}
		clientConnection: {kubeconfig: $KUBECONFIGS/kube-proxy.conf}
		clusterCIDR: $POD_CIDR
		bindAddress: $NODE_IP
		nodePortAddresses: [$POD_CIDR]
		healthzBindAddress: 127.0.0.1:10256
		metricsBindAddress: 127.0.0.1:10249
		conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
	YAML
}

node_start() {
	kubelet_start
	kube_proxy_start
	wait_for 120 "node $NODE_NAME in the API" kubectl get node "$NODE_NAME"
	kubelet_node_ready
}

node_stop() {
	process_stop kube-proxy
	process_stop kubelet
}

# After containerd's stop, when nothing is mounted any more.
node_reset() {
	rm -rf "$KUBELET_DIR" "$STATE/pod-logs"
	node_remove_cgroups
	# Links to logs of pods, in a folder that cannot be configured.
	find /var/log/containers -maxdepth 1 -lname "$STATE/*" -delete 2>/dev/null || true
	rmdir /var/log/containers 2>/dev/null || true
}

node_remove_cgroups() {
	local root
	for root in /sys/fs/cgroup/*/kubepods /sys/fs/cgroup/kubepods; do
		[[ -d $root ]] || continue
		find "$root" -depth -type d -exec rmdir {} + 2>/dev/null || true
	done
}
