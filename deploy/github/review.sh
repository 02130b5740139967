#!/usr/bin/env bash
# Lay the data map, the catalog and the policies over a database, and write what is found into the job's summary.
#
# DATASOURCE, POLICIES and CATALOG are the action's inputs. Its end: 0 nothing found, 1 a finding, 5 it could not be told.
set -euo pipefail

# Keys and a control database of this job alone, whatever aegis.toml names.
export AEGIS_HOME="$RUNNER_TEMP/aegis-home"
export AEGIS_DATABASE_URL="sqlite:///$AEGIS_HOME/aegis.db" AEGIS_KEYS_URL="sqlite:///$AEGIS_HOME/keys.db"

worst=0
sections=""
rows=""

# check TITLE COMMAND…: run it, and add a line and a section to the summary.
check() {
    local title=$1 said code=0 result
    shift
    said=$("$@" 2>&1) || code=$?
    case $code in
        0) result="✓" ;;
        5) result="? could not be told" ;;
        # What is refused is a finding, too.
        *) result="✗ see below" code=1 ;;
    esac
    [ "$code" -le "$worst" ] || worst=$code
    [ "$code" = 0 ] || echo "::error title=Aegis::$title: $result; the job's summary says more"
    printf '%s\n%s\n' "$title" "$said"
    rows+="| $title | $result |"$'\n'
    sections+=$'\n'"#### $title"$'\n\n~~~~~~text\n'"$(head -c 200000 <<<"$said")"$'\n~~~~~~\n'
}

# Rows that would go, by policy. The journal that a run needs is one table, in this job's database.
preview() {
    aegis init > "$AEGIS_HOME.log" && aegis migrate >> "$AEGIS_HOME.log" &&
        aegis migrate --datasource "$DATASOURCE" >> "$AEGIS_HOME.log" &&
        aegis policy apply --file "$POLICIES" --actor "pull request" && aegis retention run
}

check "Data map" aegis datamap check --datasource "$DATASOURCE"
[ "$CATALOG" != true ] || check "Catalog" aegis catalog diff "$DATASOURCE"
[ -z "$POLICIES" ] || check "Retention policies" preview

{
    printf '### Aegis: data source %s\n\n| check | result |\n|---|---|\n%s' "$DATASOURCE" "$rows"
    printf '%s' "$sections"
} >> "$GITHUB_STEP_SUMMARY"
echo "code=$worst" >> "$GITHUB_OUTPUT"
exit "$worst"
