#!/usr/bin/env bash
# Give a Colab runtime what the course needs and it lacks; leave everything that is there as it is.
#   usage: bash colab_setup.sh [PYTHON]        safe to run again; no restart; nothing written here
# What the course needs is the list `dependencies` in pyproject.toml. What is installed is frozen
# into a constraints file that pip must keep to, and compared again afterwards.
set -euo pipefail
python=${1:-python3}
course=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
shown="torch torchaudio numpy scipy ipython ipywidgets"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() { echo "colab_setup: $*"; exit 1; }
plain() { tr 'A-Z_' 'a-z-'; }
freeze() { "$python" -m pip list --format=freeze --disable-pip-version-check 2>/dev/null | plain | LC_ALL=C sort -u; }
version() { sed -n "s/^$1==//p" "$2"; }
needs() {
  "$python" - "$course/pyproject.toml" <<'PY'
import sys, tomllib
print(*tomllib.load(open(sys.argv[1], "rb"))["project"]["dependencies"], sep="\n")
PY
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "the course needs Python 3.11 or newer, this runtime has $("$python" -V 2>&1): choose a newer runtime version"
freeze >"$scratch/before" || fail "pip does not run in this runtime: restart it and try again"
needs >"$scratch/needs" || fail "$course/pyproject.toml cannot be read: upload or clone the course again"

missing=()
while read -r need; do
  name=$(sed 's/[^A-Za-z0-9_.-].*//' <<<"$need" | plain)
  [ -n "$(version "$name" "$scratch/before")" ] || missing+=("$need")
done <"$scratch/needs"
if [ ${#missing[@]} -gt 0 ]; then
  echo "installing what this runtime lacks: ${missing[*]}"
  "$python" -m pip install -q --prefer-binary --disable-pip-version-check \
    -c "$scratch/before" "${missing[@]}" >"$scratch/log" 2>&1 || {
    grep -i '^error' "$scratch/log" | head -3 || true
    fail "pip could not install ${missing[*]}: is the runtime online? Run this cell again"
  }
fi

freeze >"$scratch/after"
for name in $shown; do
  printf '%-12s %s -> %s\n' "$name" "$(version "$name" "$scratch/before")" "$(version "$name" "$scratch/after")"
done
changed=$(LC_ALL=C comm -23 "$scratch/before" "$scratch/after" | tr '\n' ' ')
[ -z "$changed" ] || fail "the runtime's own packages changed ($changed): restart the runtime from the menu and report this"

if nvidia-smi -L >/dev/null 2>&1; then
  nvidia-smi -L
else
  echo "no GPU: the laptop preset works here; for a GPU choose Runtime > Change runtime type > T4 GPU"
fi
echo "ready: nothing that was installed has changed"
