# shellcheck shell=bash
# A real model server: MLServer with a scikit-learn model of the iris data set,
# trained while the image is made. In the cache are the Debian base, shared by
# every such image, and the finished archive.

MLSERVER_IMAGE=localhost/keywire-env/mlserver-iris:$MLSERVER_VERSION
MLSERVER_SOURCES=$ENV_DIR/images/mlserver-iris
MLSERVER_FILES=(
	"$ENV_DIR/components/image-mlserver.sh"
	"$MLSERVER_SOURCES"/{requirements.txt,train.py,iris/model-settings.json}
)

mlserver_present() { image_present "$MLSERVER_IMAGE" "${MLSERVER_FILES[@]}"; }

mlserver_image() {
	image_ensure "$MLSERVER_IMAGE" mlserver_rootfs '{
		"Entrypoint": ["/opt/venv/bin/mlserver", "start", "/models"],
		"User": "65532:65532",
		"Env": [
			"PATH=/opt/venv/bin:/usr/bin:/bin",
			"HOME=/tmp",
			"MLSERVER_PARALLEL_WORKERS=0",
			"PYTHONDONTWRITEBYTECODE=1"
		]
	}' "${MLSERVER_FILES[@]}"
}

mlserver_rootfs() {
	local root=$1
	debian_base_built || debian_base_build
	tar -C "$root" -xf "$(cache_path "$(debian_base_entry)")/base.tar"
	install -d "$root/build" "$root/models"
	cp "$MLSERVER_SOURCES"/{requirements.txt,train.py} "$root/build/"
	cp -r "$MLSERVER_SOURCES/iris" "$root/models/"
	debian_prepare_network "$root"
	debian_chroot "$root" python3 -m venv /opt/venv
	debian_chroot "$root" /opt/venv/bin/pip install --no-cache-dir -r /build/requirements.txt
	debian_chroot "$root" /opt/venv/bin/python /build/train.py /models/iris/model.joblib
	rm -rf "$root/build" "$root/root/.cache"
	debian_forget_network "$root"
}
