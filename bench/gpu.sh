#!/bin/bash
# Everything that a GPU box is asked, in one call and within ten minutes: the executable unpacked and
# at home with the box's torch (it compiles its engine there, once), the self-test, the figures of
# `icrl bench gpu`, each against its target, and the three stages of nano. Nothing is fetched.
#
#   npm run box                        here: dist/icrl.xz, about 42 MiB, to be copied beside the checkout
#   bench/gpu.sh OUT                   on the box: python3 with torch, g++
#   bench/gpu.sh OUT --only decode,step
#   bench/gpu.sh OUT --device cpu --tiny   anywhere: shows that all of it runs, measures nothing
#   npx bun bench/write-table.ts --gpu OUT/figures.jsonl   here again: the table of bench/README.md
#
# OUT gets figures.jsonl (one figure a line, a line for a part that failed) and log.txt. Parts come in
# the order of their value. Each has a time limit and a process of its own, and one that fails stops
# no other; the exit code says whether all ran. ICRL names another executable, ICRL_BOX_SECONDS
# another total, ICRL_BENCH_PYTHON the python3 of the opponents (transformers).
set -u
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
device=cuda only= tiny=() out=

usage() { echo "usage: bench/gpu.sh OUT [--device cuda|cpu] [--tiny] [--only part,part]" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --device) [ $# -ge 2 ] || usage; device=$2; shift ;;
    --only) [ $# -ge 2 ] || usage; only=,$2,; shift ;;
    --tiny) tiny=(--tiny) ;;
    -*) usage ;;
    *) [ -z "$out" ] || usage; out=$1 ;;
  esac
  shift
done
[ -n "$out" ] || usage
mkdir -p "$out" || exit 1
figures=$out/figures.jsonl log=$out/log.txt
: > "$figures" && : > "$log" || exit 1
scratch=$(mktemp -d) && trap 'rm -rf "$scratch"' EXIT
export ICRL_BENCH_COMMIT=${ICRL_BENCH_COMMIT:-$(git -C "$here" rev-parse --short HEAD 2>/dev/null || true)}
total=${ICRL_BOX_SECONDS:-570}

say() { printf 'gpu.sh: %s\n' "$*" | tee -a "$log" >&2; }
left() { echo $((total - SECONDS)); }

# The named executable, or the packed one, or the built one.
find_icrl() {
  if [ -n "${ICRL:-}" ]; then echo "$ICRL"; return; fi
  local packed=$here/dist/icrl.xz built=$here/dist/icrl
  if [ -e "$packed" ]; then unpack "$packed" "$scratch/icrl" && echo "$scratch/icrl"; return; fi
  [ -x "$built" ] && echo "$built"
}

# python3 is there (it has the torch), xz may not be.
unpack() {
  python3 - "$1" "$2" <<'PYTHON' && chmod +x "$2"
import lzma, shutil, sys
with lzma.open(sys.argv[1]) as packed, open(sys.argv[2], "wb") as out:
    shutil.copyfileobj(packed, out, 1 << 20)
PYTHON
}

failed=0
# part NAME SECONDS COMMAND...: in the time that is left. What it prints goes to the screen and the log.
part() {
  local name=$1 limit=$2 began=$SECONDS status
  shift 2
  case $only in ''|*,"$name",*) ;; *) return ;; esac
  [ "$limit" -le "$(left)" ] || limit=$(left)
  if [ "$limit" -lt 10 ]; then lost "$name" "no time is left for it"; return; fi
  printf '\n== %s (at most %s s)\n' "$name" "$limit" | tee -a "$log"
  timeout -k 5 "$limit" "$@" 2> >(tee -a "$log" >&2) | tee -a "$log"
  status=${PIPESTATUS[0]}
  if [ "$status" = 124 ]; then lost "$name" "stopped after $limit s"
  elif [ "$status" != 0 ]; then lost "$name" "ended with $status after $((SECONDS - began)) s"
  else say "$name took $((SECONDS - began)) s"; fi
}

lost() {
  failed=1
  say "$1: $2"
  printf '{"type":"failed","part":"%s","why":"%s"}\n' "$1" "$2" >> "$figures"
}

# bench PART SECONDS [FLAG...]: figures are kept even of a part that is stopped.
bench() {
  local name=$1 limit=$2 parts=${1%-against} json=$scratch/$1.jsonl
  shift 2
  part "$name" "$limit" "$icrl" bench gpu --only="$parts" --device="$device" "${tiny[@]}" --json "$json" "$@"
  [ ! -e "$json" ] || cat "$json" >> "$figures"
}

icrl=$(find_icrl)
if [ -z "$icrl" ]; then
  say "there is no dist/icrl.xz (npm run box makes it) and no dist/icrl"
  exit 1
fi
{ date -u; uname -srm; nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
  ldd --version | head -1; g++ --version | head -1; } >> "$log" 2>&1

part doctor 150 "$icrl" doctor
bench selftest 60
bench precision 60
bench decode 90
bench update 120
bench step 150
bench nano 150
bench full 120
bench lora 120
bench decode-against 120 --against --peers "$here/bench/peers"
bench rows-against 120 --against --peers "$here/bench/peers"
printf '\n'
say "$([ $failed = 0 ] && echo "all parts ran" || echo "some parts did not run") in $SECONDS s: $figures"
exit $failed
