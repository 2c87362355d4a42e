#!/bin/sh
# Makes the secrets that the stack's services read; one that is there already stays as it is.
#
#   secrets.sh [FOLDER]        FOLDER: secrets/ at the root of the checkout unless given
#
# The folder is closed to everybody else on this machine, and the files in it are open: a service runs as a user
# whom this machine does not know, and sees its own few, each mounted by itself. No secret is shown.
#
# What Alertmanager needs goes into FOLDER/alertmanager by hand; run this again afterwards, so that it can read it.
# What is still missing there, this says:
#
#   alerts/preflight.sh alerts/alertmanager.yaml secrets/alertmanager
#
# Read by:   docker-compose.yaml
# Tested by: ../../tests/stack/test_secrets.py

set -eu
folder=${1:-$(dirname "$0")/../../secrets}

umask 077
mkdir -p "$folder"
chmod 0700 "$folder"
mkdir -p "$folder/alertmanager"
chmod 0755 "$folder/alertmanager"

for name in admin_token grafana_admin_password mysql_root_password mysql_uptime_password mysql_backend_password \
  mysql_backup_password; do
  file=$folder/$name
  if [ -s "$file" ]; then echo "kept  $name"; continue; fi
  # 190 bits, and nothing that a shell, SQL or YAML would want quoted.
  LC_ALL=C tr -dc 'A-Za-z0-9' </dev/urandom | head -c 32 >"$file.new"
  chmod 0444 "$file.new"
  mv "$file.new" "$file"
  echo "made  $name"
done

for file in "$folder"/alertmanager/*; do
  [ ! -f "$file" ] || chmod 0444 "$file"
done
