#!/bin/sh
# Make the passwords that docker-compose.yml mounts, each once: a file that is there already stays as it is.
#
#   sh deploy/secrets.sh [FOLDER]
#
# The folder (default: secrets) is closed to others. Its files are not: each container runs as a user of its own, and
# sees only the files that it is given.
set -eu
umask 022
folder=${1:-secrets}
mkdir -p "$folder"
chmod 0700 "$folder"
for name in postgres redis_admin redis_worker redis_beat redis_exporter redis_producer_app grafana; do
    [ -e "$folder/$name" ] && continue
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$folder/$name.new"
    mv "$folder/$name.new" "$folder/$name"
    echo "made $folder/$name"
done
