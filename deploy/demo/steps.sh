# shellcheck shell=bash
# What the demo's steps have in common.

# What the labeler asks: two irises.
QUESTION='{"inputs":[{"name":"x","shape":[2,4],"datatype":"FP64","data":[[5.1,3.5,1.4,0.2],[6.7,3.0,5.2,2.3]]}]}'
# The longest that a step may take to show, in seconds.
PATIENCE=30

headline() { printf '\n== %s\n' "$*"; }
say() { printf '%s\n' "$*"; }
verdict() { printf '  %s. %-72s %s\n' "$1" "$2" "$3"; }

fail() {
	printf '\nstep %s does not hold: %s\n' "$1" "$2" >&2
	printf 'look: kubectl get keywire -A -o wide; kubectl get events -A; kubectl logs -n keywire-system deploy/keywire-controller\n' >&2
	printf 'again: make demo      stop: make demo-down\n' >&2
	exit 1
}

# expect STEP WHAT STATUS ANSWER: the answer ends with its status on a line of its own.
expect() {
	local step=$1 what=$2 wanted=$3 status=${4##*$'\n'} body=${4%$'\n'*}
	[[ $status == "$wanted" ]] || fail "$step" "$what: expected $wanted, got $status: $body"
	verdict "$step" "$what" "$status"
	say "     $(summary "$body")"
}

# A refusal's own words, or the start of what came back.
summary() {
	jq -r 'if .message then .message elif .outputs then "prediction: " + (.outputs[0].data | tostring) else tostring end' \
		<<<"$1" 2>/dev/null | cut -c1-200 || cut -c1-200 <<<"$1"
}

in_pod() {
	local deployment=$1 command=$2
	kubectl exec -n agents "deploy/$deployment" -c caller -- sh -c "$command"
}

infer() {
	in_pod "$1" "curl -s -w '\n%{http_code}' \$IRIS_URL/v2/models/iris/infer -H 'Content-Type: application/json' -d '$QUESTION'"
}

# What a pod's own container holds that could be a credential.
secrets_of() {
	local found
	found=$(in_pod "$1" 'ls /var/run/secrets 2>/dev/null; env | grep -iE "token|secret|password" | cut -d= -f1; true')
	printf '%s' "${found:-none}"
}

# time_to STATUS DEPLOYMENT COMMAND...: runs the command while the pod calls
# without pause; prints the milliseconds from the command's start to the first
# call with that status, so the command's own time is in it. /proc/uptime is
# one clock for node and pod.
time_to() {
	local status=$1 deployment=$2 calls changed seen
	shift 2
	calls=$(mktemp)
	in_pod "$deployment" "echo calling
		end=\$((\$(date +%s) + $PATIENCE))
		while [ \$(date +%s) -lt \$end ]; do
			code=\$(curl -s -o /dev/null -w '%{http_code}' \$IRIS_URL/v2/models/iris)
			[ \"\$code\" = $status ] && { cut -d' ' -f1 /proc/uptime; exit 0; }
		done
		exit 1" >"$calls" &
	local caller=$!
	# Only once the pod calls: the time must not begin before its first call.
	until [[ -s $calls ]] || ! kill -0 "$caller" 2>/dev/null; do sleep 0.01; done
	changed=$(cut -d' ' -f1 /proc/uptime)
	"$@" >/dev/null || { kill "$caller" 2>/dev/null; rm -f "$calls"; return 1; }
	wait "$caller" || { rm -f "$calls"; return 1; }
	seen=$(tail -n 1 "$calls")
	rm -f "$calls"
	awk -v seen="$seen" -v changed="$changed" 'BEGIN { printf "%d", (seen - changed) * 1000 }'
}

# ready [-n NAMESPACE] OBJECT...: waits for Ready, and says why where it does not come.
ready() {
	kubectl wait --for=condition=Ready --timeout=60s "$@" >/dev/null || {
		kubectl get "$@" -o wide >&2
		fail 0 "not ready within a minute: $*"
	}
	say "  ready: $*"
}

rolled_out() {
	kubectl rollout status -n "$1" "deploy/$2" --timeout=90s >/dev/null || {
		kubectl get pods,events -n "$1" >&2
		fail 0 "deployment $1/$2 is not available within a minute and a half"
	}
	say "  running: $1/$2"
}

# An interrupted demo may have left its objects half-way.
remove_leftovers() {
	kubectl delete -n agents deploy/labeler deploy/visitor --ignore-not-found --wait=false >/dev/null 2>&1 || true
}

# How many clients of this client id Keycloak holds.
clients_named() {
	local token
	token=$(curl -sf "$KEYCLOAK_URL/realms/master/protocol/openid-connect/token" \
		--data-urlencode grant_type=password --data-urlencode client_id=admin-cli \
		--data-urlencode "username=$KEYCLOAK_ADMIN_USERNAME" \
		--data-urlencode "password@"<(printf '%s' "$KEYCLOAK_ADMIN_PASSWORD") | jq -r .access_token)
	curl -sf --get "$KEYCLOAK_URL/admin/realms/ml/clients" --data-urlencode "clientId=$1" \
		-H @<(printf 'Authorization: Bearer %s' "$token") | jq length
}
