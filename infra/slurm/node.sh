#!/usr/bin/env bash
# One Ray node of a Slurm job, its files closed to everybody else:  node.sh RAY-START-COMMAND...
# Ray opens its folder to all users of the machine (0777), and its logs name the environment of what it runs, keys
# included. So that folder lies in one that nobody else may enter, and both go when Ray ends.
set -euo pipefail

# short, and local to the node: Ray puts sockets below it
folder=$(mktemp -d "/tmp/lgc-ray-$SLURM_JOB_ID-XXXXXX")
trap 'rm -rf "$folder" 2>/dev/null || { sleep 1; rm -rf "$folder"; }' EXIT # what Ray leaves behind may write once more
trap 'kill -s TERM "${!-}" 2>/dev/null || exit 143' TERM INT
"$@" --temp-dir="$folder/ray" &
status=0
wait $! || status=$?
while kill -0 $! 2>/dev/null; do # a signal ends a wait
  status=0
  wait $! || status=$?
done
exit "$status"
