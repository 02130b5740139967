#!/bin/sh
# Write the ACL file of Aegis's broker (Redis 7 or newer, or Valkey) from files of passwords.
#
#   render.sh SECRETS_DIR OUT_FILE [NAME=QUEUE[,QUEUE...]]...
#
# SECRETS_DIR/redis_admin, redis_worker, redis_beat and redis_exporter hold the passwords of the users `admin`,
# `worker`, `beat` and `exporter`. SECRETS_DIR/redis_producer_NAME is that of the user `producer-NAME`, for one service
# that sends tasks; an argument such as shop=erasure,audit says to which queues. A service without queues, and queues
# without a service, are refused.
#
# Each line of such a file is a password, at least 20 characters long (openssl rand -hex 24); while one is replaced, two
# lines are valid. OUT_FILE has their SHA-256 only, is readable for its owner only, and is replaced as a whole or not at
# all. A running server takes it with ACL LOAD.
set -eu
umask 077
LC_ALL=C
export LC_ALL

QUEUES="retention erasure federated seal audit maintenance"

refuse() {
    echo "render.sh: $1" >&2
    exit 1
}

# The words that give a user the passwords of a file.
passwords() {
    [ -r "$secrets/$1" ] || refuse "cannot read $secrets/$1; make it with: openssl rand -hex 24 > $secrets/$1"
    found=
    while IFS= read -r password || [ -n "$password" ]; do
        [ "${#password}" -ge 20 ] || refuse "$secrets/$1 has a line of fewer than 20 characters; use openssl rand -hex 24"
        digest=$(printf %s "$password" | sha256sum)
        found="$found #${digest%% *}"
    done < "$secrets/$1"
    [ -n "$found" ] || refuse "$secrets/$1 is empty; write a password into it: openssl rand -hex 24 > $secrets/$1"
    printf %s "${found# }"
}

# The keys of a queue: its list, and the lists of its priorities (??: the two bytes that kombu puts between).
consumed() {
    for queue in $QUEUES; do
        printf '~%s ~%s??[369] ~_kombu.binding.%s ~_kombu.binding_permanent.%s ' "$queue" "$queue" "$queue" "$queue"
    done
}

# The lists of queues, for reading (%R) or for writing (%W) only.
lists() {
    how=$1
    shift
    for queue in "$@"; do
        printf '%s~%s ' "$how" "$queue"
    done
}

# The lists of other people's queues, for writing only.
sent_to() {
    rest=$1
    while [ -n "$rest" ]; do
        queue=${rest%%,*}
        case $queue in
            '' | *[!A-Za-z0-9_.-]*) refuse "'$queue': a queue's name has letters, digits, . - and _ only" ;;
        esac
        printf '%%W~%s ' "$queue"
        case $rest in *,*) rest=${rest#*,} ;; *) rest= ;; esac
    done
}

is_queue() {
    case " $QUEUES " in *" $1 "*) return 0 ;; esac
    return 1
}

# The keys that a producer may write, never read.
produced() {
    rest=$1,
    while [ -n "$rest" ]; do
        queue=${rest%%,*}
        rest=${rest#*,}
        is_queue "$queue" || refuse "'$queue' is no queue; they are: $QUEUES"
        printf '%%W~%s ' "$queue"
    done
}

# The queues that the arguments give to a producer; nothing for none.
queues_of() {
    wanted=$1
    shift
    for given in "$@"; do
        if [ "${given%%=*}" = "$wanted" ]; then
            printf %s "${given#*=}"
            return
        fi
    done
}

[ "$#" -ge 2 ] || refuse "usage: render.sh SECRETS_DIR OUT_FILE [NAME=QUEUE[,QUEUE...]]..."
secrets=$1
out=$2
shift 2

for given in "$@"; do
    name=${given%%=*}
    case $given in
        *=?*) ;;
        *) refuse "'$given': expected NAME=QUEUE[,QUEUE...]" ;;
    esac
    case $name in
        '' | *[!a-z0-9_-]*) refuse "'$name': a service's name has lower-case letters, digits, - and _ only" ;;
    esac
    [ "$name" = worker ] || [ -r "$secrets/redis_producer_$name" ] || refuse "cannot read $secrets/redis_producer_$name, the password of $name"
done

new=$out.new
trap 'rm -f "$new"' EXIT
rm -f "$new"

user() {
    name=$1
    file=$2
    shift 2
    words=$(passwords "$file")
    echo "user $name on $words resetchannels -@all $*" >> "$new"
}

# Nobody can be `default`: it is off and has no password. Its rights are those of the server itself while it reads its
# own file: without them, servers older than the end of 2025 leave out every MULTI of it and say nothing (redis 14541).
echo "user default off resetpass ~* resetchannels -@all +@write +select" >> "$new"

user admin redis_admin '~* &* +@all'

# Takes messages, puts back what was not finished (unacked*), answers remote control (pidbox), tells events, puts aside
# what is no message, tells services how far a request is, and searches it all for who was erased.
others=$(sent_to "$(queues_of worker "$@")")
user worker redis_worker "$(consumed)$others~unacked ~unacked_index ~unacked_mutex" \
    '~_kombu.binding_deadlines ~*.celery.pidbox*' \
    '~aegis:dead-letters ~aegis:refused ~aegis:refused:taken ~aegis:status:* ~aegis:deaths:*' \
    '~aegis:installation' \
    '&/0.celery.pidbox &/0.celeryev/*' \
    '+ping +info +time +multi +exec +watch' \
    '+brpop +lpush +rpush +llen +lrange +lrem +ltrim' \
    '+hset +hget +hdel +hsetnx +hgetall +hincrby +zadd +zrem +zrange +zrangebyscore +sadd +srem +smembers' \
    '+get +set +del +exists +incr +expire +renamenx +evalsha +script|load +script|exists' \
    '+publish +psubscribe +punsubscribe +scan +type +hscan +sscan +zscan'

# Sends, tells events of what it sent, counts, and looks at the server before it starts.
user beat redis_beat "$(lists %W retention seal maintenance)$(lists %R erasure federated audit aegis:dead-letters)" \
    '~aegis:installation &/0.celeryev/* +ping +info +lpush +llen +get +set +publish'

# Looks at the server and counts; sees no message.
# shellcheck disable=SC2086 # words, on purpose
user exporter redis_exporter "$(lists %R $QUEUES aegis:dead-letters)" \
    '+ping +info +llen +config|get +slowlog|get +slowlog|len +latency|latest'

for file in "$secrets"/redis_producer_*; do
    [ -e "$file" ] || continue
    name=${file##*/redis_producer_}
    queues=$(queues_of "$name" "$@")
    [ -n "$queues" ] || refuse "$file is there, and no argument says to which queues: $name=QUEUE[,QUEUE...]"
    # Not an argument itself: there its failure would go unseen.
    keys=$(produced "$queues")
    user "producer-$name" "redis_producer_$name" "$keys%R~aegis:status:*" '+ping +lpush +get'
done

mv "$new" "$out"
trap - EXIT
