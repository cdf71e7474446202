# shellcheck shell=bash
# One certificate authority for the cluster, a certificate per component, the
# ServiceAccount key and the kubeconfigs.

PKI_DAYS=3650

pki_make() {
	(umask 077 && mkdir -p "$PKI" "$KUBECONFIGS")
	pki_ca
	pki_service_account_key
	pki_certificate apiserver "/CN=kube-apiserver" "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.$CLUSTER_DOMAIN,DNS:localhost,IP:127.0.0.1,IP:$NODE_IP,IP:$KUBERNETES_SERVICE_IP"
	pki_certificate kubelet "/O=system:nodes/CN=system:node:$NODE_NAME" "DNS:$NODE_NAME,IP:$NODE_IP"
	pki_certificate apiserver-kubelet-client "/O=system:masters/CN=kube-apiserver-kubelet-client"
	pki_certificate admin "/O=system:masters/CN=kubernetes-admin"
	pki_certificate controller-manager "/CN=system:kube-controller-manager"
	pki_certificate scheduler "/CN=system:kube-scheduler"
	pki_certificate kube-proxy "/CN=system:kube-proxy"
	pki_certificate coredns "/CN=system:coredns"
	local user
	for user in admin kubelet controller-manager scheduler kube-proxy coredns; do
		pki_kubeconfig "$user"
	done
}

pki_ca() {
	[[ ! -s $PKI/ca.crt ]] || return 0
	pki_key ca
	openssl req -x509 -new -key "$PKI/ca.key" -subj /CN=keywire-env-ca -days "$PKI_DAYS" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature \
		-out "$PKI/ca.crt.new"
	mv "$PKI/ca.crt.new" "$PKI/ca.crt"
}

pki_key() {
	openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/$1.key.new"
	mv "$PKI/$1.key.new" "$PKI/$1.key"
}

# RSA, as most clusters have: the tokens are RS256.
pki_service_account_key() {
	[[ ! -s $PKI/service-account.pub ]] || return 0
	openssl genrsa -out "$PKI/service-account.key" 2048
	openssl rsa -in "$PKI/service-account.key" -pubout -out "$PKI/service-account.pub.new"
	mv "$PKI/service-account.pub.new" "$PKI/service-account.pub"
}

# A second key that the API server publishes from its next start on.
pki_service_account_announce() {
	openssl genrsa -out "$PKI/service-account-next.key" 2048
	openssl rsa -in "$PKI/service-account-next.key" -pubout -out "$PKI/service-account-next.pub"
}

# The second key is the one that signs from the next start on.
pki_service_account_sign() {
	[[ -s $PKI/service-account-next.pub ]] || die "no key was announced"
	mv "$PKI/service-account.pub" "$PKI/service-account-until-$(date +%s).pub"
	mv "$PKI/service-account-next.pub" "$PKI/service-account.pub"
	mv "$PKI/service-account-next.key" "$PKI/service-account.key"
}

# pki_certificate NAME SUBJECT [SUBJECT_ALT_NAMES]
pki_certificate() {
	local name=$1 subject=$2 names=${3:-}
	[[ ! -s $PKI/$name.crt ]] || return 0
	pki_key "$name"
	openssl req -new -key "$PKI/$name.key" -subj "$subject" |
		openssl x509 -req -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -days "$PKI_DAYS" \
			-set_serial "0x$(openssl rand -hex 15)" \
			-extfile <(
				echo "keyUsage=critical,digitalSignature"
				echo "extendedKeyUsage=clientAuth,serverAuth"
				[[ -z $names ]] || echo "subjectAltName=$names"
			) -out "$PKI/$name.crt.new"
	mv "$PKI/$name.crt.new" "$PKI/$name.crt"
}

# Certificates are inlined, so that a kubeconfig can be copied.
pki_kubeconfig() {
	local name=$1 file=$KUBECONFIGS/$1.conf
	[[ ! -s $file ]] || return 0
	cat >"$file.new" <<-YAML
		apiVersion: v1
		kind: Config
		clusters:
		- name: keywire-env
		  cluster: {server: "$API_URL", certificate-authority-data: "$(base64 -w0 "$PKI/ca.crt")"}
		users:
		- name: $name
		  user: {client-certificate-data: "$(base64 -w0 "$PKI/$name.crt")", client-key-data: "$(base64 -w0 "$PKI/$name.key")"}
		contexts:
		- name: keywire-env
		  context: {cluster: keywire-env, user: $name}
		current-context: keywire-env
	YAML
	chmod 600 "$file.new"
	mv "$file.new" "$file"
}

pki_reset() { rm -rf "$PKI" "$KUBECONFIGS"; }
