# shellcheck shell=bash
# API server, controller-manager, scheduler.

apiserver_start() {
	local key keys=()
	for key in "$PKI"/service-account*.pub; do keys+=("--service-account-key-file=$key"); done
	process_start kube-apiserver "$(kubernetes_bin kube-apiserver)" \
		--bind-address="$API_ADDRESS" \
		--secure-port="$API_PORT" \
		--advertise-address="$NODE_IP" \
		--etcd-servers="$ETCD_URL" \
		--service-cluster-ip-range="$SERVICE_CIDR" \
		--authorization-mode=Node,RBAC \
		--allow-privileged=true \
		--client-ca-file="$PKI/ca.crt" \
		--tls-cert-file="$PKI/apiserver.crt" \
		--tls-private-key-file="$PKI/apiserver.key" \
		--service-account-issuer=https://kubernetes.default.svc \
		"${keys[@]}" \
		--service-account-signing-key-file="$PKI/service-account.key" \
		--kubelet-certificate-authority="$PKI/ca.crt" \
		--kubelet-client-certificate="$PKI/apiserver-kubelet-client.crt" \
		--kubelet-client-key="$PKI/apiserver-kubelet-client.key" \
		--kubelet-preferred-address-types=InternalIP \
		--cert-dir="$STATE/apiserver" \
		--profiling=false
	process_ready kube-apiserver 240 kubectl get --raw /readyz
}

controller_manager_start() {
	process_start kube-controller-manager "$(kubernetes_bin kube-controller-manager)" \
		--bind-address=127.0.0.1 \
		--kubeconfig="$KUBECONFIGS/controller-manager.conf" \
		--authentication-kubeconfig="$KUBECONFIGS/controller-manager.conf" \
		--authorization-kubeconfig="$KUBECONFIGS/controller-manager.conf" \
		--use-service-account-credentials \
		--leader-elect=false \
		--root-ca-file="$PKI/ca.crt" \
		--service-account-private-key-file="$PKI/service-account.key" \
		--cluster-signing-cert-file="$PKI/ca.crt" \
		--cluster-signing-key-file="$PKI/ca.key" \
		--cert-dir="$STATE/controller-manager" \
		--profiling=false
	process_ready kube-controller-manager 120 curl -fsSk --noproxy '*' https://127.0.0.1:10257/healthz
}

scheduler_start() {
	process_start kube-scheduler "$(kubernetes_bin kube-scheduler)" \
		--bind-address=127.0.0.1 \
		--kubeconfig="$KUBECONFIGS/scheduler.conf" \
		--authentication-kubeconfig="$KUBECONFIGS/scheduler.conf" \
		--authorization-kubeconfig="$KUBECONFIGS/scheduler.conf" \
		--leader-elect=false \
		--cert-dir="$STATE/scheduler" \
		--profiling=false
	process_ready kube-scheduler 120 curl -fsSk --noproxy '*' https://127.0.0.1:10259/healthz
}

control_plane_start() {
	etcd_start
	apiserver_start
	controller_manager_start
	scheduler_start
}

# The reverse order: an API server whose etcd is gone does not end at SIGTERM.
control_plane_stop() {
	process_stop kube-scheduler
	process_stop kube-controller-manager
	process_stop kube-apiserver 15
	etcd_stop
}

control_plane_reset() {
	etcd_reset
	rm -rf "$STATE"/{apiserver,controller-manager,scheduler}
}
