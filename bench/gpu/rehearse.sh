#!/usr/bin/env bash
# Rehearses all calls on this machine's CPU, as the borrowed machine would see them: a copy of the working tree, one load
# a call, no network, an environment that has what bench/gpu/machine.txt says and nothing else.
#   PYTHON=…/bin/python bench/gpu/rehearse.sh FOLDER       after bench/gpu/pack.sh; results in FOLDER/out
# The test bed's runs, small here, are left running as they are there; they end by themselves.
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

# call NUMBER VARIABLE=VALUE… -- STEP…: its own tree, so that what a call leaves running keeps the one it began in
call() {
  local part=$1 given=()
  shift
  while [ "$1" != -- ]; do given+=("$1"); shift; done
  shift
  tree=$folder/tree$part
  # students/M is a third of what is carried, and no step needs it: here it is left out
  mkdir -p "$tree/.gpu"
  git ls-files --cached --others --exclude-standard -z -- . ':!students/M' \
    | tar --null --files-from=- -cf - | tar -xf - -C "$tree"
  cp -R ".gpu/$part" "$tree/.gpu/"
  echo "call $part: ${given[*]} $*" | tee -a "$OUT/run.log"
  run "${given[@]}" -- "$@" || failed=1
}

# run VARIABLE=VALUE… -- STEP…: nothing of the environment this runs in may help: no cache of models, no other path
run() {
  local given=()
  while [ "$1" != -- ]; do given+=("$1"); shift; done
  shift
  (cd "$tree" && env -u VIRTUAL_ENV HOME="$folder/home" "${given[@]}" $offline bench/gpu/run.sh "$@")
}

failed=0
mkdir -p "$folder/home" "$folder/tests"
# the calls of bench/gpu/README.md, with the limit of a rehearsal
call 1 ONLY=training:135m -- speed testbed
call 2 --
run OUT="$folder/tests" -- tests > /dev/null 2>&1 < /dev/null &
tests=$!
call 3 -- student study gather
wait $tests || failed=1
cp "$folder/tests/tests.txt" "$OUT/" || failed=1
ls -l "$OUT"
exit $failed
