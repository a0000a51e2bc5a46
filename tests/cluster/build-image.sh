#!/usr/bin/env bash
# build-image.sh: builds envs/swath.sif by `make image` from a base image made here, with the host's own apt mirror,
# certificates and pip settings, none of which stay in the image. Run as root, in the repository; needs Apptainer and
# debootstrap.
set -euo pipefail
cd "$(dirname "$0")/../.."
base=$(mktemp -d)/base.sif
trap 'rm -rf "$(dirname "$base")"' EXIT
mirror=$(apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(CODENAME)|$(SITE)' 'Created-By: Packages' \
         | awk -F'|' '$1 == "Debian" && $2 == "main" && $3 !~ /-/ {print $4; exit}')
apptainer build --build-arg "mirror=$mirror" "$base" tests/cluster/base.def

# the host's pip settings become APPTAINERENV_PIP_*, their paths read-only binds; a bind's target must exist in the
# base image: /opt and the certificates do
declare -A bind=()
while IFS='=' read -r key value; do
    value=${value#\'} value=${value%\'} key=${key##*.}
    case $key in cert|find-links|extra-index-url|index-url|trusted-host|default-timeout) ;; *) continue ;; esac
    export "APPTAINERENV_PIP_$(tr 'a-z-' 'A-Z_' <<<"$key")=$value"
    [ "$key" != cert ] || export APPTAINERENV_SSL_CERT_FILE=$value  # uv's
    for place in $value; do
        case ${place#file://} in
            /opt/*) bind[/opt]=1 ;;
            /*)     bind[${place#file://}]=1 ;;
        esac
    done
done < <(python3 -m pip config list)
binds=$(IFS=,; echo "${!bind[*]}")
[ -z "$binds" ] || export APPTAINER_BIND=$binds
make image BASE="$base"
