# shellcheck shell=bash
# Keycloak: one host process, on loopback alone (contract tests, no cluster, no
# root) or on the bridge's address (with 127.0.0.1 led there, see network.sh).
# Issuer, options and admin are the same in both, so a test cannot tell.

# Workloads log in by their ServiceAccount tokens: a feature that is on from 26.6
# on, and has to be asked for before.
case $KEYCLOAK_VERSION in
26.[0-5].*)
	KEYCLOAK_FEATURES=client-auth-federated
	KEYCLOAK_ENTRY=keycloak-$KEYCLOAK_VERSION-$KEYCLOAK_FEATURES
	;;
*)
	KEYCLOAK_FEATURES=
	KEYCLOAK_ENTRY=keycloak-$KEYCLOAK_VERSION
	;;
esac
KEYCLOAK_DIR=$STATE/keycloak

keycloak_built() { cache_has "$KEYCLOAK_ENTRY"; }
keycloak_build() { cache_make "$KEYCLOAK_ENTRY" keycloak_assemble; }

# The distribution from Maven, unpacked and augmented for its build options.
keycloak_assemble() {
	local folder=$1
	nice -n 5 mvn -B -ntp "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_PLUGIN_VERSION:copy" \
		"-Dartifact=org.keycloak:keycloak-quarkus-dist:$KEYCLOAK_VERSION:zip" "-DoutputDirectory=$folder/download"
	unzip -q "$folder/download/keycloak-quarkus-dist-$KEYCLOAK_VERSION.zip" -d "$folder/unpacked"
	mv "$folder/unpacked/keycloak-$KEYCLOAK_VERSION"/* "$folder/"
	rm -rf "$folder/download" "$folder/unpacked"
	nice -n 5 "$folder/bin/kc.sh" build --db=dev-file --health-enabled=true --metrics-enabled=true \
		${KEYCLOAK_FEATURES:+--features="$KEYCLOAK_FEATURES"}
}

# keycloak_start ADDRESS: starts it there and does not wait. --cache=local: no
# cluster of servers, so no ports for one, which would be on every address.
keycloak_start() {
	local address=$1
	if process_alive keycloak && [[ $(keycloak_address) != "$address" ]]; then process_stop keycloak 20; fi
	process_alive keycloak && return 0
	keycloak_secrets
	echo "$address" >"$KEYCLOAK_DIR/address"
	KC_BOOTSTRAP_ADMIN_USERNAME=$KEYCLOAK_ADMIN_USERNAME \
	KC_BOOTSTRAP_ADMIN_PASSWORD=$(<"$KEYCLOAK_DIR/password") \
	JAVA_OPTS_APPEND="-Xms256m -Xmx768m -Djava.io.tmpdir=$KEYCLOAK_DIR/tmp" \
		process_start keycloak "$(cache_path "$KEYCLOAK_ENTRY")/bin/kc.sh" start --optimized \
		--http-enabled=true --http-host="$address" \
		--http-port="$KEYCLOAK_PORT" --http-management-port="$KEYCLOAK_MANAGEMENT_PORT" \
		--hostname="$KEYCLOAK_INTERNAL_URL" --hostname-admin="$KEYCLOAK_LOCAL_URL" \
		--hostname-backchannel-dynamic=true --cache=local \
		--log-level=info,io.smallrye.health:error \
		--db-url="jdbc:h2:file:$KEYCLOAK_DIR/db/keycloak;NON_KEYWORDS=VALUE;DB_CLOSE_ON_EXIT=FALSE"
}

# The password is made once per state and never printed.
keycloak_secrets() {
	mkdir -p "$KEYCLOAK_DIR/db" "$KEYCLOAK_DIR/tmp"
	[[ -s $KEYCLOAK_DIR/password ]] || (umask 077 && openssl rand -hex 16 >"$KEYCLOAK_DIR/password")
}

keycloak_address() { cat "$KEYCLOAK_DIR/address" 2>/dev/null; }

keycloak_wait() {
	POLL=0.5 process_ready keycloak 420 keycloak_healthy
	wait_for 60 "the administrator's token" keycloak_login
}

keycloak_healthy() {
	curl -fsS --noproxy '*' -m 5 "http://$(keycloak_address):$KEYCLOAK_MANAGEMENT_PORT/health/ready"
}

# The password goes by standard input: arguments are readable by everybody.
keycloak_login() {
	printf 'grant_type=password&client_id=admin-cli&username=%s&password=%s' \
		"$KEYCLOAK_ADMIN_USERNAME" "$(<"$KEYCLOAK_DIR/password")" |
		curl -fsS --noproxy '*' -m 10 -o /dev/null --data-binary @- \
			"http://$(keycloak_address):$KEYCLOAK_PORT/realms/master/protocol/openid-connect/token"
}

# The Service and EndpointSlice that give it a name in the cluster.
keycloak_expose() { kubectl apply -f "$ENV_DIR/manifests/keycloak.yaml"; }

keycloak_stop() { process_stop keycloak 20; }

keycloak_reset() { rm -rf "$KEYCLOAK_DIR"; }
