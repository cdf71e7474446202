# shellcheck shell=bash
# A cache entry is a folder that appears complete or not at all: it is made
# under a temporary name and renamed at the end. So an interrupted build leaves
# nothing that a later run could take for finished.

# cache_path NAME-VERSION: where the entry lies.
cache_path() { printf '%s/%s' "$CACHE" "$1"; }

cache_has() { [[ -d $(cache_path "$1") ]]; }

# cache_make ENTRY FUNCTION [ARG...]: calls the function with an empty folder as
# its first argument, then renames that folder to the entry.
cache_make() {
	local entry=$1 function=$2 tmp
	shift 2
	mkdir -p "$CACHE"
	cache_sweep
	tmp=$CACHE/.tmp.$entry.$$
	mkdir "$tmp"
	"$function" "$tmp" "$@"
	# Another clone may have been faster; its entry is as good.
	cache_has "$entry" || mv "$tmp" "$(cache_path "$entry")"
	rm -rf "$tmp"
}

# Removes what interrupted runs left: the name ends in the maker's pid.
cache_sweep() {
	local tmp
	for tmp in "$CACHE"/.tmp.*; do
		[[ -e $tmp ]] || continue
		kill -0 "${tmp##*.}" 2>/dev/null || rm -rf "$tmp"
	done
}

# hash_of FILE...: twelve hex digits of the files' contents and names' order.
hash_of() { cat -- "$@" | sha256sum | cut -c1-12; }

# write_file FILE: standard input becomes the file's content; a file that says
# the same already is left alone (kube-proxy ends itself when its own changes).
write_file() {
	local file=$1
	mkdir -p "${file%/*}"
	cat >"$file.new"
	if cmp -s "$file.new" "$file"; then rm -f "$file.new"; else mv "$file.new" "$file"; fi
}
