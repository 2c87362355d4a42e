#!/bin/sh
# Says who would be told by an Alertmanager configuration, and which secret files are still missing.
#
#   preflight.sh [alertmanager.yaml [FOLDER]]
#
# Run it as Alertmanager's user. FOLDER is where the secrets lie now, if a container will see them elsewhere.
# Exit code: 0 all is there, 1 something is missing, 2 the configuration cannot be read. No secret is shown.
#
# Reads:     alertmanager.yaml: routes, receivers and their *_file keys, in the layout of the one beside it
# Tested by: ../tests/alerts/test_preflight.py

set -eu
config=${1:-$(dirname "$0")/alertmanager.yaml}
folder=${2:-}
[ -r "$config" ] || { echo "preflight: cannot read $config" >&2; exit 2; }

# One line for each finding: receiver, what (file, placeholder or empty), channel, key, value.
found=$(awk '
  { sub(/^[ \t]*#.*/, ""); sub(/[ \t]+#.*/, "") }
  /^[^ \t-]/ { part = $1 }
  part == "route:" && match($0, /receiver:[ \t]*[^ \t,}]+/) {
    name = substr($0, RSTART, RLENGTH); sub(/receiver:[ \t]*/, "", name); gsub(/["\047]/, "", name)
    if (!(name in routed)) { routed[name]; order[++routes] = name }
  }
  part != "receivers:" { next }
  match($0, /- name:[ \t]*/) { receiver = substr($0, RSTART + RLENGTH); gsub(/["\047 \t]/, "", receiver); channel = "" }
  match($0, /[a-z]+_configs:/) {
    channel = substr($0, RSTART, RLENGTH - 9); told[receiver] = 1
    if (match($0, /\*[A-Za-z0-9_-]+/)) borrowed[receiver] = borrowed[receiver] " " substr($0, RSTART + 1, RLENGTH - 1)
    if (match($0, /&[A-Za-z0-9_-]+/)) owner[substr($0, RSTART + 1, RLENGTH - 1)] = receiver
  }
  match($0, /[a-z_]+_file:[ \t]*[^ \t,}]+/) {
    pair = substr($0, RSTART, RLENGTH); key = pair; sub(/:.*/, "", key); sub(/^[^:]*:[ \t]*/, "", pair)
    gsub(/["\047]/, "", pair); facts[receiver] = facts[receiver] "file " channel " " key " " pair "\n"
  }
  /example\.(org|com)/ { key = $1; sub(/^-$/, "", key); if (key == "") key = $2
    sub(/:.*/, "", key); facts[receiver] = facts[receiver] "placeholder " channel " " key " -\n" }
  function tell(to, from,  n, i, fact) {
    n = split(facts[from], fact, "\n")
    for (i = 1; i < n; i++) print to, fact[i]
  }
  END {
    for (r = 1; r <= routes; r++) {
      name = order[r]
      if (!(name in told)) { if (name != "nobody") print name, "empty - - -"; continue }
      print name, "told - - -"
      tell(name, name)
      n = split(borrowed[name], anchors, " ")
      for (i = 1; i <= n; i++) tell(name, owner[anchors[i]])
    }
  }
' "$config")
[ -n "$found" ] || { echo "preflight: $config has no route with a receiver" >&2; exit 2; }

what_for() {
  case $1 in
    routing_key_file) echo "PagerDuty's Events API v2 integration key" ;;
    api_key_file) echo "the key of an Opsgenie API integration" ;;
    api_url_file) echo "the URL of a Slack incoming webhook" ;;
    auth_password_file) echo "the mail account's password" ;;
    credentials_file) echo "the token that the receiver of the webhook expects" ;;
    url_file) echo "the URL that expects a sign of life every minute" ;;
    *) echo "the secret" ;;
  esac
}

# Whether a folder above the file keeps everybody else out, whatever the file's own rights are.
closed() (
  cd "$(dirname "$1")" 2>/dev/null || return 1
  while :; do
    case $(ls -ld .) in d????????[-T]*) return 0 ;; esac
    [ "$(pwd -P)" != / ] || return 1
    cd ..
  done
)

missing() { echo "$1"; problems=$((problems + 1)); }

problems=0
while read -r receiver what channel key value; do
  case $what in
    empty) missing "$receiver: tells nobody; take the # from one of its lines" ;;
    placeholder) missing "$receiver: $channel: $key is still the example's; set your own" ;;
    file)
      file=$value
      [ -z "$folder" ] || file=$folder/${value##*/}
      if [ ! -e "$file" ]; then missing "$receiver: $channel: $file is missing; put $(what_for "$key") into it"
      elif [ ! -f "$file" ] || [ ! -r "$file" ]; then missing "$receiver: $channel: $file cannot be read by $(id -un)"
      elif ! grep -q '[^[:space:]]' "$file"; then missing "$receiver: $channel: $file is empty; put $(what_for "$key") into it"
      elif [ "$key" = api_key_file ] && [ -z "$(tail -c 1 "$file")" ]; then
        missing "$receiver: $channel: $file ends in a newline, which Alertmanager 0.25 sends along; printf %s KEY >$file"
      else
        case $(ls -ld "$file") in
          ???????r*) closed "$file" && echo "$receiver: $channel: ready" || missing "$receiver: $channel: everybody on this machine can read $file; chmod o= $file" ;;
          *) echo "$receiver: $channel: ready" ;;
        esac
      fi ;;
  esac
done <<END
$found
END

if [ "$problems" -gt 0 ]; then echo "$problems to mend before Alertmanager can tell everybody."; exit 1; fi
echo "Everybody who should be told can be told."
