# awk -f count-tests.awk RESULTS.xml...: adds up what CTest wrote with --output-junit and prints "N passed, N failed, N skipped".
#
# A cmocka program counts by its cases, any other test as one. A test that CTest could not start counts as failed: CTest
# itself files it with the skipped ones. A line before says which tests were skipped because they need the reference data.

function finish() {
    if (name == "") return
    if (status == "notrun" || status == "disabled") {
        if (asked_to_skip || status == "disabled") {
            skipped++
            if (name ~ /^full\./) without_data = without_data " " substr(name, 6)
        }
        else failed++
    } else if (status == "run") {
        if (cases) { passed += case_passed; skipped += case_skipped }
        else passed++
    } else {
        # A crash or a time-out shows no failed case of its own.
        passed += case_passed; skipped += case_skipped
        failed += case_failed > 0 ? case_failed : 1
    }
    name = ""
}
/<testcase name="/ {
    finish()
    name = status = $0
    sub(/.*<testcase name="/, "", name); sub(/".*/, "", name)
    sub(/.* status="/, "", status); sub(/".*/, "", status)
    cases = case_passed = case_failed = case_skipped = asked_to_skip = 0
}
/<skipped message="SKIP_/ { asked_to_skip = 1 }
/\[  (PASSED |SKIPPED|FAILED ) *\] [0-9]+ test\(s\)/ {
    number = $0
    sub(/.*\] /, "", number); sub(/ .*/, "", number)
    cases = 1
    if (/PASSED/) case_passed += number
    else if (/SKIPPED/) case_skipped += number
    else case_failed += number
}
END {
    finish()
    if (without_data) print "Skipped for lack of the reference data (KAPPATUNE_TEST_DATA):" without_data
    printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
}
