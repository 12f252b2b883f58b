#!/bin/sh
# kill_stages.sh BUILD [KILLS [SEED]]: kills a run of three stages KILLS times (default 300) at random moments and resumes
# it; fails unless every file of every run has the bytes of an undisturbed one. Some minutes; the suite does twelve
# (ctest -R stages_killed).
set -eu
build=${1:?usage: kill_stages.sh BUILD [KILLS [SEED]]}
build=$(cd "$build" && pwd)
cd "$(dirname "$0")/../.."
exec "$build/tests/train/test_stages_killed" "${2:-300}" "${3:-$(date +%s)}"
