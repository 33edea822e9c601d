#!/bin/sh
# The shell scripts, by shellcheck.
. "$(dirname "$0")/lib.sh"
cd "$root"
shellcheck --external-sources --source-path=SCRIPTDIR .ci/run deploy/*.sh deploy/*/*.sh \
    tests/fuzz/*.sh tests/kafka/*.sh bench/contenders/*.sh
