#!/bin/sh
# Starts one node of the cluster in compose.galera.yaml, with the image's own entrypoint.
#
# A node begins a new cluster where it is told to and has never been in one, and where it was the last to leave the
# one that it knows. In all other cases it joins: a node that began a cluster beside the one that there is would
# take the data of those who join it.
set -eu
state=/var/lib/mysql/grastate.dat
if [ -n "${STATE_FILE:-}" ]; then state=$STATE_FILE; fi
if [ ! -e "$state" ]; then
  if [ "${NEW_CLUSTER:-}" = "$(hostname)" ]; then set -- "$@" --wsrep-new-cluster; fi
elif grep -q '^safe_to_bootstrap: 1' "$state"; then
  set -- "$@" --wsrep-new-cluster
fi
exec docker-entrypoint.sh "$@"
