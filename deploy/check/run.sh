#!/bin/sh
# Has each piece of deploy/ looked at by the tool that will consume it.
#
#   deploy/check/run.sh [STEP…]        all but `reproducible`, which builds everything twice, when none is named
set -eu

cd "$(dirname "$0")/../.."
deploy/prerequisites.sh deploy-check
[ $# -gt 0 ] || set -- scripts compose kubernetes prometheus supply-chain image systemd package dashboard
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
