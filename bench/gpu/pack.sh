#!/bin/sh
# dist/icrl.xz: the executable as it goes to a GPU box, whole or not at all. bench/gpu.sh unpacks it
# there. Half a minute where there is xz; python3 can do it too, in two.
set -eu
cd -- "$(dirname -- "$0")/../.."
ICRL_SETUP_ONLY=1 ./icrl
partial=dist/icrl.xz.$$
trap 'rm -f "$partial"' EXIT
if command -v xz >/dev/null 2>&1; then
  xz -T0 -6 -c dist/icrl > "$partial"
else
  python3 -c 'import lzma, shutil, sys
with open("dist/icrl", "rb") as plain, lzma.open(sys.argv[1], "wb", preset=6) as packed:
    shutil.copyfileobj(plain, packed, 1 << 20)' "$partial"
fi
mv "$partial" dist/icrl.xz
ls -l dist/icrl.xz | awk '{ printf "dist/icrl.xz, %.1f MiB\n", $5 / 1048576 }'
