# For suites written in bash: goes to the project's folder, counts checks and closes as tests/README.md asks.
# shellcheck shell=bash
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
passed=0 failed=0

pass() {
    passed=$((passed + 1))
    echo "ok - $1"
}

fail() {
    failed=$((failed + 1))
    echo "not ok - $1"
}

# check WHAT COMMAND…: one check, which passes when the command does; its output is shown when it does not.
check() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then pass "$what"; else fail "$what"; printf '%s\n' "$output" | sed 's/^/    /'; fi
}

# tap WHAT COMMAND…: counts the results that a command prints as TAP. A skipped result counts as failed, and so
# does a command that stops before the results it announced or that fails without saying where.
tap() {
    local what=$1 log status=0 good bad skipped announced
    shift
    log=$(mktemp)
    "$@" 2>&1 | tee "$log" || status=${PIPESTATUS[0]}
    announced=$(sed -nE 's/^\s*1\.\.([0-9]+).*/\1/p' "$log" | awk '{ sum += $1 } END { print sum + 0 }')
    skipped=$(grep -cE '^\s*ok\b.*# *(SKIP|TODO)' "$log" || true)
    good=$(grep -cE '^\s*ok\b' "$log" || true)
    bad=$(grep -cE '^\s*not ok\b' "$log" || true)
    rm -f "$log"
    passed=$((passed + good - skipped)) failed=$((failed + bad + skipped))
    if ((skipped)); then echo "    $what: $skipped skipped, which counts as failed"; fi
    if ((good + bad < announced || announced == 0)); then
        fail "$what announced $announced results and printed $((good + bad)), then exit status $status"
    elif ((status != 0 && bad + skipped == 0)); then
        fail "$what ended with exit status $status"
    fi
}

finish() {
    echo "$passed passed, $failed failed"
    ((failed == 0 && passed > 0))
}
