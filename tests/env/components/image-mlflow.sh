# shellcheck shell=bash
# MLflow with its plug-in for sign-in by OpenID Connect.

MLFLOW_IMAGE=localhost/keywire-env/mlflow:$MLFLOW_VERSION
MLFLOW_FILES=(
	"$ENV_DIR/components/python-image.sh"
	"$ENV_DIR/components/image-mlflow.sh"
	"$ENV_DIR/servers.d/mlflow-oidc.txt"
)

mlflow_present() { image_present "$MLFLOW_IMAGE" "${MLFLOW_FILES[@]}"; }
mlflow_image() { image_ensure "$MLFLOW_IMAGE" mlflow_rootfs "$(python_config '[]')" "${MLFLOW_FILES[@]}"; }
mlflow_rootfs() { python_rootfs "$1" "$ENV_DIR/servers.d/mlflow-oidc.txt"; }
