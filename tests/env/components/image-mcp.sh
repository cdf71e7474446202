# shellcheck shell=bash
# Two MCP servers and an agent, on the packages of tests/servers' own.

MCP_IMAGE=localhost/keywire-env/mcp:$MCP_VERSION
MCP_SOURCES=$ENV_DIR/images/mcp
MCP_FILES=(
	"$ENV_DIR/components/image-mcp.sh"
	"$ENV_DIR/servers.d/mcp.txt"
	"$MCP_SOURCES"/{server,agent}.py
)

mcp_present() { image_present "$MCP_IMAGE" "${MCP_FILES[@]}"; }

mcp_image() {
	image_ensure "$MCP_IMAGE" mcp_rootfs '{
		"Entrypoint": ["/opt/venv/bin/python", "/app/server.py"],
		"User": "65532:65532",
		"Env": [
			"PATH=/opt/venv/bin:/usr/bin:/bin",
			"HOME=/tmp",
			"PYTHONDONTWRITEBYTECODE=1"
		]
	}' "${MCP_FILES[@]}"
}

mcp_rootfs() {
	local root=$1
	debian_base_built || debian_base_build
	tar -C "$root" -xf "$(cache_path "$(debian_base_entry)")/base.tar"
	install -d "$root/build" "$root/app"
	cp "$ENV_DIR/servers.d/mcp.txt" "$root/build/"
	cp "$MCP_SOURCES"/{server,agent}.py "$root/app/"
	debian_prepare_network "$root"
	debian_chroot "$root" python3 -m venv /opt/venv
	debian_chroot "$root" /opt/venv/bin/pip install --no-cache-dir -r /build/mcp.txt
	rm -rf "$root/build" "$root/root/.cache"
	debian_forget_network "$root"
}
