# shellcheck shell=bash
# containerd with its own root, state and socket, and the CNI configuration.
# Its root survives `down`: the images in it are a cache.

CONTAINERD_DIR=$STATE/containerd
CNI_BIN=/usr/lib/cni

containerd_start() {
	cni_config | write_file "$STATE/cni/conf/10-keywire.conflist"
	containerd_config | write_file "$CONTAINERD_DIR/config.toml"
	process_start containerd containerd --config "$CONTAINERD_DIR/config.toml"
	process_ready containerd 120 ctr_k8s version
	process_ready containerd 120 containerd_serves_kubelet
}

# The socket answers `ctr` before the CRI service has read its containers and
# images, and a kubelet that comes in between gives up for good: so ask what it
# will ask, `RuntimeService.Version` with an empty gRPC message. A refusal has
# no body.
containerd_serves_kubelet() {
	local size
	size=$(printf '\0\0\0\0\0' | curl -sS --noproxy '*' --max-time 5 --http2-prior-knowledge \
		--unix-socket "$CONTAINERD_SOCKET" --header 'content-type: application/grpc' --header 'te: trailers' \
		--data-binary @- --output /dev/null --write-out '%{size_download}' \
		http://localhost/runtime.v1.RuntimeService/Version)
	((size > 5))
}

# restrict_oom_score_adj: without CAP_SYS_RESOURCE (machines such as CI's) runc
# otherwise fails with "can't get final child's PID from pipe: EOF".
containerd_config() {
	cat <<-TOML
		version = 2
		root = "$CONTAINERD_DIR/root"
		state = "$CONTAINERD_DIR/state"
		disabled_plugins = [
		  "io.containerd.internal.v1.opt",
		  "io.containerd.snapshotter.v1.aufs",
		  "io.containerd.snapshotter.v1.btrfs",
		  "io.containerd.snapshotter.v1.devmapper",
		  "io.containerd.snapshotter.v1.zfs",
		  "io.containerd.tracing.processor.v1.otlp",
		]
		[grpc]
		address = "$CONTAINERD_SOCKET"
		[plugins."io.containerd.grpc.v1.cri"]
		sandbox_image = "$PAUSE_IMAGE"
		restrict_oom_score_adj = true
		netns_mounts_under_state_dir = true
		stream_server_address = "127.0.0.1"
		[plugins."io.containerd.grpc.v1.cri".containerd]
		snapshotter = "overlayfs"
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		runtime_type = "io.containerd.runc.v2"
		[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
		SystemdCgroup = false
		[plugins."io.containerd.grpc.v1.cri".cni]
		bin_dir = "$CNI_BIN"
		conf_dir = "$STATE/cni/conf"
	TOML
}

# No ipMasq: a pod reaches pods, Services and the host's bridge address, and
# nothing outside the machine.
cni_config() {
	cat <<-JSON
		{
		  "cniVersion": "1.0.0",
		  "name": "$CNI_NETWORK",
		  "plugins": [{
		    "type": "bridge",
		    "bridge": "$BRIDGE",
		    "isGateway": true,
		    "hairpinMode": true,
		    "ipMasq": false,
		    "ipam": {
		      "type": "host-local",
		      "dataDir": "$STATE/cni/ipam",
		      "ranges": [[{"subnet": "$POD_CIDR", "rangeStart": "10.85.1.1", "gateway": "$NODE_IP"}]],
		      "routes": [{"dst": "0.0.0.0/0"}]
		    }
		  }]
		}
	JSON
}

ctr_k8s() { ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io "$@"; }

containerd_stop() {
	if process_alive containerd; then containerd_kill_pods; fi
	process_stop containerd
	containerd_kill_shims
	containerd_unmount
	containerd_forget_networks
}

# Ends every container and removes it, so that no later start finds leftovers.
containerd_kill_pods() {
	ctr_k8s tasks list -q | xargs -r -P 8 -I{} ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io tasks rm --force {} || true
	ctr_k8s containers list -q | xargs -r -n 20 ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io containers rm || true
	images_prune || true
}

# Shims outlive containerd by design. Ours are told by the socket's path on
# their command line.
containerd_shims() {
	local pid
	for pid in $(pgrep -f "^/usr/bin/containerd-shim-runc-v2 .*-address $CONTAINERD_SOCKET( |$)" || true); do
		echo "$pid"
	done
}

containerd_kill_shims() {
	local pid child
	for pid in $(containerd_shims); do
		for child in $(pgrep -P "$pid" || true); do kill -KILL "$child" 2>/dev/null || true; done
		kill -KILL "$pid" 2>/dev/null || true
	done
	wait_for 10 "the shims' end" containerd_no_shims
}
containerd_no_shims() { [[ -z $(containerd_shims) ]]; }

# Mounts under our folder, deepest first: overlay roots, tmpfs volumes, network
# namespaces.
containerd_unmount() {
	local mount
	awk -v dir="$STATE/" 'index($5, dir) == 1 {print $5}' /proc/self/mountinfo | sort -r |
		while read -r mount; do umount -l "$(printf '%b' "$mount")" || true; done
	rm -rf "$CONTAINERD_DIR/state"
	# The shims' sockets and runc's state lie in a folder that cannot be
	# configured; what is empty there was ours.
	[[ ! -d /run/containerd ]] || find /run/containerd -depth -type d -empty -delete
}

# What the CNI library and the plugins remember of pods that are no more.
containerd_forget_networks() {
	rm -rf "$STATE/cni" /var/lib/cni/results/"$CNI_NETWORK"-*
	rmdir /var/lib/cni/results /var/lib/cni 2>/dev/null || true
}
