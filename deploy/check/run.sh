#!/bin/sh
# Has each piece of deploy/ looked at by the tool that will consume it.
#
#   deploy/check/run.sh [STEP…]        without a name all but `reproducible`, which builds everything once more
set -eu

cd "$(dirname "$0")/../.."
deploy/prerequisites.sh deploy-check
[ $# -gt 0 ] || set -- scripts prometheus systemd supply-chain image compose kubernetes package dashboard proxy
for step; do
    [ -x "deploy/check/$step.sh" ] || {
        echo "deploy-check: no step named $step" >&2
        exit 64
    }
    begun=$(date +%s)
    echo "== $step"
    "deploy/check/$step.sh"
    echo "== $step: good, $(($(date +%s) - begun)) s"
done
