#!/bin/sh
# Make .venv from requirements.lock, and see to the system packages that councilor needs.
# On Debian as root missing packages are installed; otherwise they are named.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

missing=""
command -v git >/dev/null 2>&1 || missing="$missing git"
"$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"
[ "$(uname)" != Linux ] || command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing:$missing" >&2
        apt-get update -qq >&2
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
    else
        echo "Missing:$missing. Install them, for example: sudo apt-get install$missing" >&2
        # Without bubblewrap Landlock is used; without the others nothing works.
        [ "$missing" = " bubblewrap" ] || exit 1
    fi
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "councilor needs Python 3.11 or newer; $("$python" --version) was found. Set PYTHON=/path/to/python3." >&2
    exit 1
}

[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
touch .venv/.ready
