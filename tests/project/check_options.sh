#!/bin/sh
# check_options.sh KAPPATUNE FILE: docs/options.md is what the program's tables say today.
set -eu
program=${1:?usage: check_options.sh KAPPATUNE FILE}
file=${2:?usage: check_options.sh KAPPATUNE FILE}
"$program" help --markdown | diff "$file" - && exit 0
echo "$file is not what the tables of options say. Write it anew: kappatune help --markdown >docs/options.md"
exit 1
