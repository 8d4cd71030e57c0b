# shellcheck shell=bash
# Hugepages for the length of a script. Sourced after common.sh.
# The number is raised and lowered by a difference under a lock, so two scripts at once restore what was there before both.
HUGEPAGES_TAKEN=0
HUGEPAGES_FILE=/proc/sys/vm/nr_hugepages

hugepages_add() {
    local before after
    exec 8>/run/lock/vnf-hugepages
    flock 8
    before=$(<"$HUGEPAGES_FILE")
    after=$((before + $1))
    { echo "$((after > 0 ? after : 0))" >"$HUGEPAGES_FILE"; } 2>/dev/null || true
    after=$(<"$HUGEPAGES_FILE")
    HUGEPAGES_TAKEN=$((HUGEPAGES_TAKEN + after - before))
    exec 8>&-
}

# hugepages_take MIB: has at least that much free memory in hugepages, or says that it has not and returns 1.
hugepages_take() {
    local page free wanted
    page=$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)
    free=$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)
    if [ -z "$page" ] || [ ! -w "$HUGEPAGES_FILE" ]; then
        say "hugepages: none can be reserved here; ordinary pages are used (slower, otherwise the same)"
        return 1
    fi
    wanted=$(( ($1 * 1024 + page - 1) / page ))
    [ "$free" -ge "$wanted" ] || hugepages_add "$wanted"
    free=$(awk '/^HugePages_Free:/ { print $2 }' /proc/meminfo)
    if [ "$free" -lt "$wanted" ]; then
        hugepages_give
        say "hugepages: $wanted of $((page / 1024)) MiB were asked, $free are free; ordinary pages are used (slower, otherwise the same)"
        return 1
    fi
    say "hugepages: $wanted of $((page / 1024)) MiB"
}

# hugepages_give: gives back what this script took.
hugepages_give() {
    [ "$HUGEPAGES_TAKEN" -eq 0 ] || hugepages_add "$((-HUGEPAGES_TAKEN))"
}
