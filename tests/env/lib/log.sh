# shellcheck shell=bash
# One line per step on standard output, everything verbose in a log file.

LOG_START=${LOG_START:-$SECONDS}

log() { printf '[%4ds] %s\n' "$((SECONDS - LOG_START))" "$*"; }
warn() { printf '[%4ds] warning: %s\n' "$((SECONDS - LOG_START))" "$*" >&2; }
die() {
	printf '[%4ds] error: %s\n' "$((SECONDS - LOG_START))" "$*" >&2
	exit 1
}

# The process group of the step that is running, for the trap below.
STEP_PID=

# step NAME LOGNAME FUNCTION [ARG...]: runs the function with its output in
# $LOGS/LOGNAME.log and prints one line with how long it took. On failure says
# which step, shows the end of the log and ends the script.
#
# The function runs in a job of its own with `set -e`; never call `step` in a
# condition (`if step`, `step ||`), where bash would switch that off.
step() {
	local name=$1 logfile=$LOGS/$2.log start=$SECONDS status=0
	shift 2
	mkdir -p "$LOGS"
	# Job control gives the step a process group, so an interrupt ends all of it.
	# The lock (descriptor 9) is the script's alone.
	set -m
	(
		set -euo pipefail
		printf -- '--- %s: %s\n' "$(date -u +%FT%TZ)" "$*"
		"$@"
	) >>"$logfile" 2>&1 </dev/null 9>&- &
	STEP_PID=$!
	set +m
	step_wait "$name" "$logfile" "$start" || status=$?
	STEP_PID=
	((status == 0)) || step_failed "$name" "$logfile" "$status"
	log "$name: done in $((SECONDS - start)) s"
}

# Waits for the running step and says every 20 seconds that it still runs.
step_wait() {
	local name=$1 logfile=$2 start=$3 next=20
	while kill -0 "$STEP_PID" 2>/dev/null; do
		sleep 0.1
		if ((SECONDS - start >= next)); then
			log "$name: still running after $((SECONDS - start)) s (log: $logfile)"
			next=$((next + 20))
		fi
	done
	wait "$STEP_PID"
}

step_failed() {
	local name=$1 logfile=$2 status=$3
	{
		printf '\n[%4ds] FAILED: %s (exit code %d). The last lines of %s:\n' \
			"$((SECONDS - LOG_START))" "$name" "$status" "$logfile"
		tail -n 30 "$logfile" | sed 's/^/    /'
		printf 'What was finished is kept: mend the cause and run %s again.\n' "$0"
		printf 'To stop what was started: tests/env/down\n'
	} >&2
	exit 1
}

# Ends the running step's processes when the script is interrupted.
step_interrupted() {
	trap - INT TERM
	if [[ -n $STEP_PID ]]; then step_end; fi
	printf '\ninterrupted; run %s again to go on, or tests/env/down to stop everything\n' "$0" >&2
	exit 130
}

# The whole process group, and not returning before it is gone: the next run must
# not meet a compiler that still writes.
step_end() {
	local end=$((SECONDS + 3))
	kill -TERM -- "-$STEP_PID" 2>/dev/null || true
	wait "$STEP_PID" 2>/dev/null || true
	while kill -0 -- "-$STEP_PID" 2>/dev/null; do
		((SECONDS < end)) || kill -KILL -- "-$STEP_PID" 2>/dev/null || true
		sleep 0.05
	done
}
trap step_interrupted INT TERM
