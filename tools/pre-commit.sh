#!/bin/sh
# pre-commit.sh: what a commit of this repository must not break, in seconds: the format of the sources, the order of the rooms, files that
# do not belong here. To have it run by git: ln -s ../../tools/pre-commit.sh .git/hooks/pre-commit
set -u
cd "$(git rev-parse --show-toplevel)" || exit 1
failed=0
for check in format includes files; do
    status=0
    said=$(sh "tests/project/check_$check.sh" . 2>&1) || status=$?
    # 77: clang-format 14 is not installed.
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        printf '%s\n%s\n' "check_$check.sh:" "$said" >&2
        failed=1
    fi
done
git diff --cached --check || failed=1
exit "$failed"
