#!/usr/bin/env bash
# Does STEPs on a borrowed GPU machine without a network: bench/gpu/README.md says how it is used.
#   OUT=FOLDER bench/gpu/run.sh STEP…      probe, tests, speed, testbed, student, study, gather; none but installs
# Every result is in OUT the moment it is there. It stops by itself LIMIT seconds after its start (570), the study 30
# seconds before that. REHEARSE=1: two training steps of everything, on the CPU.
set -uo pipefail
cd "$(dirname "$0")/../.."

OUT=${OUT:?name the folder of the results: OUT=FOLDER bench/gpu/run.sh STEP…}
ROOT=${ROOT:-/tmp/skipthink-gpu}
LIMIT=${LIMIT:-570}
LOADS=${LOADS:-.gpu}
PYTHON=${PYTHON:-python3}
GGUF=SmolLM2-135M-Instruct.Q4_1.gguf
GGUF_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

mkdir -p "$OUT" "$ROOT"
OUT=$(cd "$OUT" && pwd)
LOG=$OUT/run.log
export PYTHONPATH=$ROOT/site PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HUB_DISABLE_TELEMETRY=1 DO_NOT_TRACK=1
# many processes share the device: what one of them has freed must not stay lying in pieces
export PYTORCH_ALLOC_CONF=expandable_segments:True
TESTBED_REHEARSAL='--set training.budget={"target_tokens":2000} --set data.sizes={"train":16,"validation":4,"test":4} --set seeds=[0]'
TESTBED_REHEARSAL+=' --set skip.trial_questions=4'
if [ -n "${REHEARSE:-}" ]; then export SKIPTHINK_DEVICE=cpu CUDA_VISIBLE_DEVICES=; fi

say() { printf '%4d s  %s\n' "$SECONDS" "$*" | tee -a "$LOG"; }

# step NAME SECONDS COMMAND…: what it prints goes into the log; the next step comes whatever becomes of it
step() {
  local name=$1 limit=$2 left=$((LIMIT - SECONDS - 5)) begun=$SECONDS code
  shift 2
  [ "$limit" -le "$left" ] || limit=$left
  if [ "$limit" -lt 5 ]; then say "$name: no time is left"; return 1; fi
  say "$name: begins, $limit s at most"
  timeout --kill-after=5 "$limit" "$@" >> "$LOG" 2>&1
  code=$?
  case $code in
    0) say "$name: done in $((SECONDS - begun)) s" ;;
    124 | 137) say "$name: stopped after $((SECONDS - begun)) s" ;;
    *) say "$name: FAILED with $code after $((SECONDS - begun)) s; the end of run.log says why" ;;
  esac
  return $code
}

# what this call and those before it carried, side by side
collect() {
  local wheel
  for folder in "$LOADS"/[0-9]*; do
    [ -d "$folder" ] && cp -R "$folder/." "$ROOT/"
  done
  [ -d "$ROOT/wheels" ] || { say "no wheels: carry .gpu/1 in the first call"; exit 1; }
  # wheels are archives of what belongs on the path: nothing of the machine's own is touched, and no pip is needed
  if [ ! -f "$ROOT/site/.complete" ]; then
    for wheel in "$ROOT"/wheels/*.whl; do "$PYTHON" -m zipfile -e "$wheel" "$ROOT/site" || exit 1; done
    touch "$ROOT/site/.complete"
  fi
}

probe() {
  { nvidia-smi || echo "no nvidia-smi"; nproc; free -g; df -h /tmp; "$PYTHON" -m pip list; } > "$OUT/probe.txt" 2>&1
  "$PYTHON" -m skipthink doctor 2>&1 | tee -a "$OUT/probe.txt"
}

tests() {
  # the files that hold such tests, not all: others import what is not here
  grep -l 'mark\.gpu' -r tests --include='*.py' | sort \
    | xargs "$PYTHON" -m pytest -m gpu -v -W default -p no:cacheprovider --timeout 40 --durations 0 --durations-min 0.5 -rA -o tmp_path_retention_policy=none \
    > "$OUT/tests.txt" 2>&1
  local code=$?
  grep -E '^(FAILED|ERROR|[0-9]+ (passed|failed|skipped))|passed|failed' "$OUT/tests.txt"
  return $code
}

speed() { "$PYTHON" bench/gpu/speed.py --out "$OUT/speed.jsonl" ${ONLY:+--only $ONLY} ${REHEARSE:+--rehearse}; }

student() {
  [ -f "$ROOT/student/model.safetensors" ] && return 0
  cat "$ROOT/$GGUF".part[0-9] > "$ROOT/$GGUF" || return 1
  echo "$GGUF_SHA256  $ROOT/$GGUF" | sha256sum --check || { echo "a part is missing: carry .gpu/1 … .gpu/3"; return 1; }
  "$PYTHON" - "$ROOT/$GGUF" "$ROOT/student" <<'EOF'
import sys
from skipthink.student.gguf_students import convert_gguf
convert_gguf(sys.argv[1], sys.argv[2])
EOF
  local code=$?
  [ $code -eq 0 ] && cp "$ROOT/student/gguf.json" "$OUT/student.json"
  return $code
}

study() {
  local seconds=$((LIMIT - SECONDS - 30)) variants=() text
  # a variant a line: "LABEL KEY=VALUE …"
  while IFS= read -r text; do [ -z "$text" ] || variants+=(--variant "$text"); done <<< "$VARIANTS"
  "$PYTHON" bench/gpu/study.py --root "$ROOT" --out "$OUT" --seconds "$seconds" ${SIDE:+--side-by-side "$SIDE"} \
    ${REHEARSE:+--rehearse} "${variants[@]}"
}

# Starts the test bed's runs, which go on beside what comes after: small students train on cores of the processor.
# Processes that begin a session of their own are left running when a call returns.
testbed() {
  local name methods
  mkdir -p "$ROOT/testbed"
  while read -r name methods; do
    SKIPTHINK_DEVICE=cpu CUDA_VISIBLE_DEVICES='' OMP_NUM_THREADS=1 setsid nohup "$PYTHON" -m skipthink run bench/gpu/testbed.yaml \
      --out "$ROOT/testbed/$name" --set "methods=[$methods]" ${REHEARSE:+$TESTBED_REHEARSAL} \
      > "$ROOT/testbed/$name.log" 2>&1 < /dev/null &
  done <<'END'
gated stt,pruned-judge
plain answer-only,base,base-trim,base+ac,pruned-rule,pruned-random
END
}

# what the test bed's runs have by now, without weights
gather() {
  tar -C "$ROOT" -czf "$OUT/testbed.tar.gz.tmp" --exclude='*.safetensors' --exclude=checkpoints --exclude='*.tmp' testbed
  [ $? -le 1 ] || return 1  # 1: a file grew while it was read
  mv "$OUT/testbed.tar.gz.tmp" "$OUT/testbed.tar.gz"
}

export -f probe tests speed testbed student study gather
export OUT ROOT LIMIT PYTHON GGUF GGUF_SHA256 TESTBED_REHEARSAL ONLY=${ONLY:-} REHEARSE=${REHEARSE:-} SIDE=${SIDE:-} VARIANTS=${VARIANTS:-}

collect
say "installed in $ROOT/site"
failed=0
for name in "$@"; do
  case $name in
    probe) limit=60 ;;
    tests) limit=150 ;;
    speed) limit=140 ;;
    testbed) limit=20 ;;
    gather) limit=20 ;;
    student) limit=120 ;;
    study) limit=$LIMIT ;;
    *) say "no step $name: probe, tests, speed, testbed, student, study, gather"; exit 2 ;;
  esac
  [ -z "$REHEARSE" ] || limit=$LIMIT
  step "$name" "$limit" bash -c "SECONDS=$SECONDS; set -uo pipefail; $name" || failed=1
done
say "all done"
exit $failed
