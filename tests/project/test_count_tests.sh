#!/bin/sh
# test_count_tests.sh CTEST: tools/count-tests.awk over results that this CTest writes for made-up tests of every fate.
set -eu
ctest=${1:?usage: test_count_tests.sh CTEST}
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
failures=0

# counts WANTED: the tests of CTestTestfile.cmake are counted so.
counts() {
    "$ctest" --timeout 1 --test-output-size-passed 100000 --output-junit results.xml >log 2>&1 || true
    said=$(awk -f "$here/../../tools/count-tests.awk" results.xml)
    if [ "$said" != "$1" ]; then
        echo "FAILED: wanted '$1', counted '$said'"
        cat log results.xml
        failures=$((failures + 1))
    fi
}
cat >cases <<'END'
[==========] Running 4 test(s).
[  FAILED  ] test_of_three_words
[==========] 4 test(s) run.
[  PASSED  ] 2 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] test_without_data
END

cat >CTestTestfile.cmake <<'END'
add_test(good true)
add_test(cases cat cases)
END
counts "3 passed, 0 failed, 1 skipped"

cat >>CTestTestfile.cmake <<'END'
add_test(bad false)
END
counts "3 passed, 1 failed, 1 skipped"

cat >>CTestTestfile.cmake <<'END'
add_test(bad_cases sh -c "cat cases; echo '[  FAILED  ] 3 test(s), listed below:'; exit 3")
END
counts "5 passed, 4 failed, 2 skipped"

cat >CTestTestfile.cmake <<'END'
add_test(missing ./there_is_no_such_program)
add_test(skips sh -c "exit 77")
set_tests_properties(skips PROPERTIES SKIP_RETURN_CODE 77)
add_test(crash sh -c "kill -SEGV $$")
add_test(hang sleep 30)
END
counts "0 passed, 3 failed, 1 skipped"

cat >CTestTestfile.cmake <<'END'
add_test(good true)
add_test(full.sets sh -c "exit 77")
add_test(full.gradients sh -c "exit 77")
set_tests_properties(full.sets full.gradients PROPERTIES SKIP_RETURN_CODE 77)
END
counts "Skipped for lack of the reference data (KAPPATUNE_TEST_DATA): sets gradients
1 passed, 0 failed, 2 skipped"

: >results.xml
said=$(awk -f "$here/../../tools/count-tests.awk" results.xml)
[ "$said" = "0 passed, 0 failed, 0 skipped" ] || { echo "FAILED: no test at all: '$said'"; failures=$((failures + 1)); }

[ "$failures" -eq 0 ] && echo "all results counted rightly"
exit "$failures"
