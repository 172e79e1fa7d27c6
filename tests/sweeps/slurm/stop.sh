#!/usr/bin/env bash
# End exactly what start.sh FOLDER started, by the pids that it kept, last first.
here=${1:?folder}
[ -e "$here/pids" ] || exit 0
tac "$here/pids" | while read -r name pid; do
  [ "$(ps -o comm= -p "$pid" 2>/dev/null | cut -c1-6)" = "${name:0:6}" ] || continue
  kill "$pid" 2>/dev/null
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
  kill -0 "$pid" 2>/dev/null && kill -9 "$pid"
done
rm -f "$here/pids"
