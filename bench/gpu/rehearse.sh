#!/usr/bin/env bash
# Rehearses all calls on this machine's CPU, as the borrowed machine would see them: a copy of the working tree, one load
# a call, no network, an environment that has what bench/gpu/machine.txt says and nothing else.
#   PYTHON=…/bin/python bench/gpu/rehearse.sh FOLDER       after bench/gpu/pack.sh; results in FOLDER/out
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:?name an empty folder to work in}
export PYTHON=${PYTHON:?name the python of an environment with what bench/gpu/machine.txt lists}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
[ -z "$(ls -A "$folder")" ] || { echo "$folder is not empty"; exit 1; }
export OUT=$folder/out ROOT=$folder/root REHEARSE=1 LIMIT=${LIMIT:-3600}
mkdir -p "$OUT"
offline=; if unshare -n true 2>/dev/null; then offline="unshare -n"; fi

call() {
  local part=$1
  shift
  rm -rf "$folder/tree"
  mkdir -p "$folder/tree"
  git ls-files --cached --others --exclude-standard -z | tar --null --files-from=- -cf - | tar -xf - -C "$folder/tree"
  mkdir -p "$folder/tree/.gpu"
  cp -R ".gpu/$part" "$folder/tree/.gpu/"
  echo "call $part: $*" | tee -a "$OUT/run.log"
  # nothing of the environment this runs in may help: no cache of models, no other path
  (cd "$folder/tree" && env -u VIRTUAL_ENV HOME="$folder/home" $offline bench/gpu/run.sh "$@") || failed=1
}

failed=0
mkdir -p "$folder/home"
call 1 probe tests
call 2 speed
call 3 student study
ls -l "$OUT"
exit $failed
