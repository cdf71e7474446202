# shellcheck shell=bash
# What images of Python servers have in common: Debian, and the packages of a list in /opt/venv.

PYTHON_IMAGE_FILE=$ENV_DIR/components/python-image.sh

# python_rootfs ROOT LIST [COMMAND...]: fills ROOT. COMMAND runs in it at the end, with LIST's folder as /build.
python_rootfs() {
	local root=$1 list=$2
	shift 2
	debian_base_built || debian_base_build
	tar -C "$root" -xf "$(cache_path "$(debian_base_entry)")/base.tar"
	install -d "$root/build"
	cp -r "${list%/*}/." "$root/build/"
	debian_prepare_network "$root"
	debian_chroot "$root" python3 -m venv /opt/venv
	debian_chroot "$root" /opt/venv/bin/pip install --no-cache-dir -r "/build/${list##*/}"
	(($# == 0)) || debian_chroot "$root" "$@"
	rm -rf "$root/build" "$root/root/.cache"
	debian_forget_network "$root"
}

# python_config ENTRYPOINT [VARIABLE=VALUE...]: the run configuration; ENTRYPOINT is a JSON list.
python_config() {
	local entrypoint=$1
	shift
	jq -n --argjson entrypoint "$entrypoint" --args '{
		Entrypoint: $entrypoint,
		User: "65532:65532",
		Env: (["PATH=/opt/venv/bin:/usr/bin:/bin", "HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1"] + $ARGS.positional)
	}' "$@"
}
