# shellcheck shell=bash

# wait_for SECONDS WHAT COMMAND...: polls until the command succeeds.
wait_for() {
	local limit=$1 what=$2 end=$((SECONDS + $1))
	shift 2
	until "$@" >/dev/null 2>&1; do
		if ((SECONDS >= end)); then
			echo "not within $limit s: $what; the last answer was:" >&2
			"$@" >&2 && return 0
			return 1
		fi
		sleep 0.1
	done
}
