# shellcheck shell=bash
# Servers, by pidfile. A pidfile holds the pid, the process's start time and the
# boot's id: a pid that the kernel has given to somebody else is never taken for
# ours, and so never ended.

boot_id() { cat /proc/sys/kernel/random/boot_id; }

# The start time in clock ticks: field 22 of stat, counted behind the command's
# name, which may hold spaces.
start_time() {
	local stat fields
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	read -ra fields <<<"${stat##*) }"
	[[ ${fields[0]} != Z ]] || return 1
	echo "${fields[19]}"
}

# process_pid NAME: prints the pid if that very process is alive.
process_pid() {
	local pid start boot
	read -r pid start boot 2>/dev/null <"$RUN/$1.pid" || return 1
	[[ $boot == "$(boot_id)" && $start == "$(start_time "$pid")" ]] || return 1
	echo "$pid"
}

process_alive() { process_pid "$1" >/dev/null; }

# process_start NAME COMMAND...: starts the command in a session of its own with
# its output in $LOGS/NAME.log; does nothing when it is alive.
process_start() {
	local name=$1
	shift
	process_alive "$name" && return 0
	mkdir -p "$RUN" "$LOGS"
	rm -f "$RUN/$name.pid"
	printf -- '--- %s: %s starts\n' "$(date -u +%FT%TZ)" "$name" >>"$LOGS/$name.log"
	# The child writes its own pidfile before it becomes the server, so there is
	# no moment in which an interrupted `up` leaves a server without one. It must
	# not hold the lock of `up` (descriptor 9).
	PIDFILE=$RUN/$name.pid setsid bash -c "$PROCESS_EXEC" "$name" "$@" \
		>>"$LOGS/$name.log" 2>&1 </dev/null 9>&- &
	disown
	wait_for 5 "pidfile of $name" test -s "$RUN/$name.pid"
}

# shellcheck disable=SC2016 # for the child to expand
PROCESS_EXEC='
	stat=$(cat /proc/$$/stat); stat=${stat##*) }
	fields=($stat)
	echo "$$ ${fields[19]} $(cat /proc/sys/kernel/random/boot_id)" >"$PIDFILE.new"
	mv "$PIDFILE.new" "$PIDFILE"
	unset PIDFILE
	exec "$@"'

# process_ready NAME SECONDS COMMAND...: waits until the command succeeds; fails
# at once when the process has died. Asks every POLL seconds.
process_ready() {
	local name=$1 limit=$2 end=$((SECONDS + $2))
	shift 2
	until "$@" >/dev/null 2>&1; do
		if ! process_alive "$name"; then
			process_complain "$name" "has died"
			return 1
		elif ((SECONDS >= end)); then
			process_complain "$name" "is not ready after $limit s ($*)"
			return 1
		fi
		sleep "${POLL:-0.1}"
	done
}

process_complain() {
	echo "$1 $2. The end of its own log, $LOGS/$1.log:"
	tail -n 20 "$LOGS/$1.log"
}

# process_stop NAME [SECONDS]: SIGTERM, and SIGKILL when that is not enough, to
# it and to whatever of its session is left (Keycloak's script has a child).
process_stop() {
	local name=$1 limit=${2:-10} pid end
	if pid=$(process_pid "$name"); then
		kill -TERM "$pid" 2>/dev/null || true
		end=$((SECONDS + limit))
		while process_alive "$name"; do
			((SECONDS < end)) || pkill -KILL -s "$pid" || true
			sleep 0.05
		done
		pkill -KILL -s "$pid" || true
	fi
	rm -f "$RUN/$name.pid"
}
