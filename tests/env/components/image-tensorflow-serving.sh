# shellcheck shell=bash
# A stand-in for TensorFlow Serving, whose binary no package registry has: its documented REST API over linear models.
# Beside it the program that trains and deploys them.

TENSORFLOW_SERVING_IMAGE=localhost/keywire-env/tensorflow-serving:1
TENSORFLOW_SERVING_SOURCES=$ENV_DIR/images/tensorflow-serving
TENSORFLOW_SERVING_FILES=(
	"$ENV_DIR/components/python-image.sh"
	"$ENV_DIR/components/image-tensorflow-serving.sh"
	"$TENSORFLOW_SERVING_SOURCES"/{requirements.txt,server.py,pipeline.py}
)

tensorflow_serving_present() { image_present "$TENSORFLOW_SERVING_IMAGE" "${TENSORFLOW_SERVING_FILES[@]}"; }

tensorflow_serving_image() {
	local entrypoint='["/opt/venv/bin/python", "/app/server.py"]' config
	config=$(python_config "$entrypoint" MODEL_BASE_PATH=/models MODEL_NAME=model)
	image_ensure "$TENSORFLOW_SERVING_IMAGE" tensorflow_serving_rootfs "$config" "${TENSORFLOW_SERVING_FILES[@]}"
}

tensorflow_serving_rootfs() {
	local sources=$TENSORFLOW_SERVING_SOURCES
	python_rootfs "$1" "$sources/requirements.txt"
	install -D -m 644 -t "$1/app" "$sources"/{server,pipeline}.py
}
