# shellcheck shell=bash
# llama.cpp's server, as tests/servers have it compiled, and OpenAI's client.

SLM_IMAGE=localhost/keywire-env/slm:1
SLM_SOURCES=$ENV_DIR/images/slm
SLM_MODELS=$ENV_DIR/../servers/apps/llamacpp_models.py
SLM_FILES=(
	"$ENV_DIR/components/image-slm.sh"
	"$ENV_DIR/servers.d/llamacpp.source"
	"$SLM_MODELS"
	"$SLM_SOURCES"/{requirements.txt,ask.py}
)

slm_present() { image_present "$SLM_IMAGE" "${SLM_FILES[@]}"; }

slm_image() {
	image_ensure "$SLM_IMAGE" slm_rootfs '{
		"Entrypoint": [
			"/usr/local/bin/llama-server", "--models-dir", "/models", "--host", "127.0.0.1", "--port", "8080",
			"--threads", "1", "--parallel", "1", "--offline", "--no-warmup"
		],
		"User": "65532:65532",
		"Env": [
			"PATH=/opt/venv/bin:/usr/bin:/bin",
			"HOME=/tmp",
			"PYTHONDONTWRITEBYTECODE=1"
		]
	}' "${SLM_FILES[@]}"
}

slm_rootfs() {
	local root=$1 server
	debian_base_built || debian_base_build
	tar -C "$root" -xf "$(cache_path "$(debian_base_entry)")/base.tar"
	install -d "$root/build" "$root/app" "$root/models"
	server=$(server_path llamacpp)
	install "$server/bin/llama-server" "$root/usr/local/bin/"
	"$server/bin/python" "$SLM_MODELS" "$root/models"
	cp "$SLM_SOURCES/requirements.txt" "$root/build/"
	cp "$SLM_SOURCES/ask.py" "$root/app/"
	debian_prepare_network "$root"
	debian_chroot "$root" python3 -m venv /opt/venv
	debian_chroot "$root" /opt/venv/bin/pip install --no-cache-dir -r /build/requirements.txt
	rm -rf "$root/build" "$root/root/.cache"
	debian_forget_network "$root"
}
