#!/bin/bash
# Gives the database the accounts that the others log in with. MySQL's start script runs it on an empty volume.
#
#   uptime   the exporter's: may log in and nothing else
#   backend  the application's: all of its own database
#   backup   reads all of that database, and changes nothing
#
# Reads:     /run/secrets/mysql_*_password (letters and digits: ../secrets.sh makes them), MYSQL_ROOT_PASSWORD,
#            MYSQL_DATABASE
# Tested by: ../../../tests/stack/prove.py
set -euo pipefail

secret() { cat "/run/secrets/mysql_$1_password"; }

MYSQL_PWD=$MYSQL_ROOT_PASSWORD mysql --user=root <<SQL
CREATE USER IF NOT EXISTS uptime@'%' IDENTIFIED BY '$(secret uptime)';
CREATE USER IF NOT EXISTS backend@'%' IDENTIFIED BY '$(secret backend)';
GRANT ALL ON \`$MYSQL_DATABASE\`.* TO backend@'%';
CREATE USER IF NOT EXISTS backup@'%' IDENTIFIED BY '$(secret backup)';
GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON \`$MYSQL_DATABASE\`.* TO backup@'%';
GRANT SHOW_ROUTINE ON *.* TO backup@'%';
SQL
