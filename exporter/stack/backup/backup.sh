#!/bin/bash
# Backs up databases of MySQL or MariaDB, and restores them.
#
#   backup.sh run               now, if the newest backup is older than BACKUP_EVERY, and then again and again
#   backup.sh once              now
#   backup.sh check             says whether the newest backup is as young as it should be: the health check
#   backup.sh list              names the backups, the newest last
#   backup.sh restore [FILE]    reads FILE, or the newest backup, into the server. What it holds is replaced
#
# A backup is written under another name, read once more to its end, and given its name only then: a file that has
# the name is whole. Backups older than BACKUP_KEEP go, but only after a new one has come.
#
# Reads:     BACKUP_HOST, BACKUP_PORT, BACKUP_USER, BACKUP_PASSWORD_FILE: the account; for a backup it needs SELECT,
#            SHOW VIEW, TRIGGER, EVENT and LOCK TABLES, and for routines SHOW_ROUTINE (MariaDB: SELECT ON mysql.proc)
#            BACKUP_DATABASES: one or more names. BACKUP_FOLDER. BACKUP_EVERY, BACKUP_KEEP: seconds
# Read by:   ../../../docker-compose.yaml (backup, mysql), ../../OPERATIONS.md
# Tested by: ../../../tests/stack/test_backup.py, ../../../tests/stack/prove.py
set -euo pipefail

folder=${BACKUP_FOLDER:-/backup}
databases=${BACKUP_DATABASES:-backend}
every=${BACKUP_EVERY:-21600}
keep=${BACKUP_KEEP:-604800}
again=300   # seconds after a failure
late=3600   # seconds that a backup itself may take before `check` objects

# The time stands in the name, so names sort by age.
name=${databases// /+}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/backup.XXXXXX")
part=
trap 'rm -rf "$scratch" ${part:+"$part"}' EXIT
trap 'kill $(jobs -p) 2>/dev/null || true; exit 0' TERM INT

# say LEVEL MESSAGE [KEY VALUE]...: one line of JSON.
say() {
  local line="{\"time\": \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\", \"level\": \"$1\", \"msg\": \"$2\"" value
  shift 2
  while [ $# -gt 0 ]; do
    value=$(tr -c '[:print:]' ' ' <<<"$2")
    value=${value//\\/\\\\}
    line+=", \"$1\": \"$(sed 's/ *$//; s/"/\\"/g' <<<"$value")\""
    shift 2
  done
  echo "$line}"
}

# A file, because what stands on a command line or in the environment can be read by others.
account() {
  local password
  password=$(cat "${BACKUP_PASSWORD_FILE:?names the file with the password}")
  password=${password//\\/\\\\}
  (umask 077 && cat >"$scratch/account") <<EOF
[client]
host="${BACKUP_HOST:-mysql}"
port=${BACKUP_PORT:-3306}
user="${BACKUP_USER:-backup}"
password="${password//\"/\\\"}"
EOF
}

backups() { (cd "$folder" && printf '%s\n' "$name"-????????T??????Z.sql.gz | { grep -v '[?]' || true; }); }
newest() { backups | tail -n 1; }
age() { echo $(($(date +%s) - $(stat -c %Y "$folder/$1"))); }

# The last line is written when everything else has been.
whole() { gzip -t "$1" && [[ $(gzip -dc "$1" | tail -n 1) == "-- Dump completed"* ]]; }

dump() {
  local program options=(--single-transaction --quick --routines --events --triggers --hex-blob --no-tablespaces)
  program=$(command -v mysqldump || command -v mariadb-dump)
  # Where transactions have global numbers, a dump that sets them could be read by an empty server only.
  if "$program" --help | grep set-gtid-purged >"$scratch/help"; then options+=(--set-gtid-purged=OFF); fi
  # shellcheck disable=SC2086 - several names are several words
  "$program" --defaults-extra-file="$scratch/account" "${options[@]}" --databases $databases | gzip
}

# Called where `set -e` does not hold: each step says itself what follows if it fails.
once() {
  local began=$SECONDS file before
  file=$folder/$name-$(date -u +%Y%m%dT%H%M%SZ).sql.gz
  before=$(newest)
  if ! written 2>"$scratch/said" || ! kept "$file" 2>>"$scratch/said"; then
    say error "no backup was made" host "${BACKUP_HOST:-mysql}" why "$(tail -n 3 "$scratch/said")"
    [ -z "$part" ] || rm -f "$part"
    part=
    return 1
  fi
  part=
  say info "backed up" file "$file" bytes "$(stat -c %s "$file")" seconds $((SECONDS - began))
  shrunk "$before" "$file"
  tidy
}

written() {
  account && part=$(mktemp "$folder/.$name.XXXXXX.part") || return 1
  dump >"$part" & # in the background, so that a signal is heard at once
  wait $!
}

kept() {
  whole "$part" || { echo "the dump is not whole" >&2; return 1; }
  sync "$part" && mv "$part" "$1" && sync "$folder"
}

shrunk() {
  [ -z "$1" ] || (($(stat -c %s "$2") * 2 >= $(stat -c %s "$folder/$1"))) \
    || say warning "less than half as large as the one before; was so much deleted?" file "$2" before "$1"
}

# Never the newest, whatever the clock says.
tidy() {
  local each newest
  newest=$(newest)
  for each in $(backups); do
    if [ "$each" != "$newest" ] && (($(age "$each") > keep)); then
      rm -f "$folder/$each"
      say info "deleted" file "$each"
    fi
  done
}

run() {
  local last pause
  chmod 0755 "$folder" # whoever watches the backups' age need not read them
  rm -f "$folder/.$name".??????.part
  while true; do
    last=$(newest)
    pause=0
    [ -z "$last" ] || pause=$((every - $(age "$last")))
    if ((pause <= 0)); then
      pause=$every
      once || pause=$again
    fi
    say info "waiting" seconds "$pause"
    sleep "$pause" &
    wait $!
  done
}

check() {
  local last
  last=$(newest)
  if [ -z "$last" ]; then echo "there is no backup in $folder"; return 1; fi
  echo "$last is $(age "$last") s old"
  (($(age "$last") <= every + late))
}

restore() {
  local file=${1:-$(newest)} program
  [ -n "$file" ] || { say error "there is no backup" folder "$folder"; return 1; }
  [ -e "$file" ] || file=$folder/$file
  whole "$file" || { say error "not whole, nothing was changed" file "$file"; return 1; }
  account
  program=$(command -v mysql || command -v mariadb)
  gzip -dc "$file" | "$program" --defaults-extra-file="$scratch/account"
  say info "restored" file "$file"
}

case ${1:-} in
  run | once | check) "$1" ;;
  list) backups ;;
  restore) restore "${2:-}" ;;
  *) sed -n 's/^#   \(backup.sh .*\)/\1/p' "$0" >&2; exit 2 ;;
esac
